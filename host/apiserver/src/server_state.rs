//! The state that all requests and controllers share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_storage::{Clock, Store};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::admission::AdmissionPolicy;
use crate::audit::AuditQueue;
use crate::definition;
use crate::large_requests::LargeRequestLimiter;
use crate::metrics::ApiMetrics;
use crate::policies::PolicySnapshot;
use crate::rbac::{self, RbacSnapshot};
use crate::registry::ResourceRegistry;
use crate::server_options::ApiServerOptions;
use crate::tasks::{ControllerSet, ServerTask};
use crate::user::TokenAuthenticator;

/// The maximum time that a write waits until it is in force. After it, the write
/// succeeds all the same, since it is committed.
const IN_FORCE_TIMEOUT: Duration = Duration::from_secs(2);

/// The state that all requests and controllers share.
pub(crate) struct ServerState {
    pub(crate) store: Store,
    /// The database file; `None` for a store in memory.
    pub(crate) database: Option<PathBuf>,
    /// Of the only backup at a time.
    pub(crate) backup_permit: Arc<Semaphore>,
    pub(crate) registry: ArcSwap<ResourceRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) address: String,
    pub(crate) tokens: Option<Arc<dyn TokenAuthenticator>>,
    pub(crate) admission: Vec<Arc<dyn AdmissionPolicy>>,
    pub(crate) audit: Option<AuditQueue>,
    pub(crate) reserved_users: Vec<String>,
    /// The roles and bindings in force.
    pub(crate) rbac: ArcSwap<RbacSnapshot>,
    /// The revision that `rbac` reflects.
    pub(crate) rbac_revision: watch::Sender<u64>,
    /// The ValidatingAdmissionPolicies in force.
    pub(crate) policies: ArcSwap<PolicySnapshot>,
    /// The revision up to which `registry` reflects the definitions.
    pub(crate) registry_revision: watch::Sender<u64>,
    /// Separate from `large_lists`, so that lists do not wait for writes.
    pub(crate) large_writes: LargeRequestLimiter,
    pub(crate) large_lists: LargeRequestLimiter,
    /// Cancelled when the server shuts down: watches end.
    pub(crate) shutdown: CancellationToken,
    pub(crate) controllers: ControllerSet,
    pub(crate) metrics: ApiMetrics,
}

impl ServerState {
    /// Creates the state of a server that serves no resources yet.
    pub(crate) fn new(
        store: Store,
        options: ApiServerOptions,
        audit: Option<AuditQueue>,
    ) -> Arc<Self> {
        let ApiServerOptions {
            database,
            clock,
            history: _,
            address,
            tokens,
            admission,
            audit: _,
            reserved_users,
        } = options;
        Arc::new(Self {
            store,
            database,
            backup_permit: Arc::new(Semaphore::new(1)),
            registry: ArcSwap::from_pointee(ResourceRegistry::default()),
            clock,
            address,
            tokens,
            admission,
            audit,
            reserved_users,
            rbac: ArcSwap::from_pointee(RbacSnapshot::default()),
            rbac_revision: watch::Sender::new(0),
            policies: ArcSwap::from_pointee(PolicySnapshot::default()),
            registry_revision: watch::Sender::new(0),
            large_writes: LargeRequestLimiter::default(),
            large_lists: LargeRequestLimiter::default(),
            shutdown: CancellationToken::new(),
            controllers: ControllerSet::default(),
            metrics: ApiMetrics::default(),
        })
    }

    /// Returns why `task` failed, if it did.
    pub(crate) fn failure(&self, task: ServerTask) -> Option<String> {
        match task {
            ServerTask::StorageWriter => self.store.writer_failure().map(|e| e.to_string()),
            controller => self.controllers.failure(controller),
        }
    }

    /// Waits, after a commit, until what was written is in force: a definition is
    /// served, a role or a binding decides, so that a right that was withdrawn has ended
    /// when the client gets its response. Returns at once for other kinds.
    pub(crate) async fn wait_until_in_force(&self, kind: &ResourceKind, revision: u64) {
        if kind.group == definition::GROUP && kind.plural == definition::PLURAL {
            self.wait_for_registry(revision).await;
        } else if kind.group == rbac::GROUP {
            wait_for(&self.rbac_revision, revision, "roles").await;
        }
    }

    /// Waits until the registry reflects the definitions of a revision.
    pub(crate) async fn wait_for_registry(&self, revision: u64) {
        wait_for(&self.registry_revision, revision, "definitions").await;
    }
}

async fn wait_for(published: &watch::Sender<u64>, revision: u64, written: &'static str) {
    let mut published = published.subscribe();
    let is_published = published.wait_for(|current| *current >= revision);
    if tokio::time::timeout(IN_FORCE_TIMEOUT, is_published)
        .await
        .is_err()
    {
        tracing::warn!(revision, written, "what was written is not in force yet");
    }
}
