//! The server as a value: what it holds, how it opens and how it closes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
pub use rdd_apiserver_storage::SetAsideError;
use rdd_apiserver_storage::{HistoryLimits, Store, StoreOpenError as StoreError, StoreOptions};
use tokio::sync::watch;

use crate::admission::AdmissionPolicy;
use crate::clock::{self, Clock};
use crate::crd;
use crate::gc;
use crate::large_requests::LargeRequestLimiter;
use crate::namespaces;
use crate::registry::ResourceRegistry;
use crate::tasks::{ControllerSet, ServerTask};
use crate::user::TokenAuthenticator;

/// What a server is opened with.
#[derive(Clone)]
pub struct ApiServerOptions {
    /// The database file; nothing keeps everything in memory, for tests.
    pub database: Option<PathBuf>,
    /// The time of day.
    pub clock: Clock,
    /// How many events, bytes and minutes of the past are kept for watches
    /// and paged lists.
    pub history: HistoryLimits,
    /// `host:port` that `/api` names as the server's address.
    pub address: String,
    /// Who answers reviews of tokens; nothing knows none.
    pub tokens: Option<Arc<dyn TokenAuthenticator>>,
    /// Who may refuse writes, asked in this order.
    pub admission: Vec<Arc<dyn AdmissionPolicy>>,
}

impl ApiServerOptions {
    /// A durable server.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            database: Some(path.into()),
            ..Self::in_memory()
        }
    }

    /// A server that forgets everything when it is closed.
    pub fn in_memory() -> Self {
        Self {
            database: None,
            clock: clock::system(),
            history: HistoryLimits::default(),
            address: "127.0.0.1:6443".to_owned(),
            tokens: None,
            admission: Vec::new(),
        }
    }
}

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store could not be opened.
    #[error("cannot open the store of the API server")]
    Store(#[source] StoreError),
    /// What the store holds could not be brought up.
    #[error("cannot start the API server: {0}")]
    Start(String),
}

impl OpenError {
    /// Whether another process, or another server of this one, holds the
    /// database.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked { .. }))
    }

    /// Whether the database cannot be trusted: [`set_aside`] makes room for a
    /// new one.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }))
    }
}

/// Renames a damaged database out of the way, and says to what.
///
/// # Errors
/// When a running server holds it, or the system refuses.
pub fn set_aside(database: &Path) -> Result<PathBuf, SetAsideError> {
    Store::set_aside(database)
}

pub(crate) struct ServerState {
    pub(crate) store: Store,
    pub(crate) registry: ArcSwap<ResourceRegistry>,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    pub(crate) tokens: Option<Arc<dyn TokenAuthenticator>>,
    pub(crate) admission: Vec<Arc<dyn AdmissionPolicy>>,
    /// Revision of the definitions that the registry reflects.
    pub(crate) registry_revision: watch::Sender<u64>,
    /// Large writes; lists do not wait for them.
    pub(crate) large_writes: LargeRequestLimiter,
    pub(crate) large_lists: LargeRequestLimiter,
    /// True once the server closes: watches end.
    pub(crate) shutdown: watch::Sender<bool>,
    /// What runs beside the requests until the server closes.
    pub(crate) controllers: ControllerSet,
}

impl ServerState {
    /// Serves nothing yet.
    pub(crate) fn new(store: Store, options: ApiServerOptions) -> Arc<Self> {
        let ApiServerOptions {
            database: _,
            clock,
            history: _,
            address,
            tokens,
            admission,
        } = options;
        Arc::new(Self {
            store,
            registry: ArcSwap::from_pointee(ResourceRegistry::default()),
            clock,
            address,
            tokens,
            admission,
            registry_revision: watch::Sender::new(0),
            large_writes: LargeRequestLimiter::default(),
            large_lists: LargeRequestLimiter::default(),
            shutdown: watch::Sender::new(false),
            controllers: ControllerSet::default(),
        })
    }

    async fn start_controllers(self: &Arc<Self>) -> Result<(), String> {
        let stop = || self.controllers.shutdown_token();
        for (task, controller) in [
            (
                ServerTask::DefinitionController,
                crd::controller::start(self, stop()).await?,
            ),
            (
                ServerTask::NamespaceController,
                namespaces::controller::start(self, stop())?,
            ),
            (
                ServerTask::GarbageCollector,
                gc::controller::start(self, stop())?,
            ),
        ] {
            self.controllers.supervise(task, controller).await;
        }
        Ok(())
    }

    /// Why `task` has ended, if nobody told it to.
    pub(crate) fn failure(&self, task: ServerTask) -> Option<String> {
        match task {
            ServerTask::StorageWriter => self.store.writer_failure(),
            controller => self.controllers.failure(controller),
        }
    }
}

/// An embedded Kubernetes API server. Cheap to clone: all clones are one
/// server, which runs until [`ApiServer::close`].
#[derive(Clone)]
pub struct ApiServer(pub(crate) Arc<ServerState>);

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiServer")
    }
}

impl ApiServer {
    /// Opens the store, serves what it defines, and sees to it that the
    /// namespaces every client expects exist. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the store cannot be opened or not be written.
    pub async fn open(options: ApiServerOptions) -> Result<Self, OpenError> {
        let mut store_options = match &options.database {
            Some(path) => StoreOptions::file(path),
            None => StoreOptions::in_memory(),
        };
        store_options.history = options.history.clone();
        // Reading the database may take a while: not on a runtime's thread.
        let store = tokio::task::spawn_blocking(move || Store::open(store_options))
            .await
            .map_err(|error| OpenError::Start(error.to_string()))?
            .map_err(OpenError::Store)?;
        let server = Self(ServerState::new(store, options));
        crate::system_namespaces::create_missing(&server.0)
            .await
            .map_err(OpenError::Start)?;
        server
            .0
            .start_controllers()
            .await
            .map_err(OpenError::Start)?;
        Ok(server)
    }

    /// Returns when `task` has ended without being told to, and says why. The
    /// server cannot be trusted from then on: close it, and open it anew.
    pub async fn task_failed(&self, task: ServerTask) -> String {
        if task != ServerTask::StorageWriter {
            return self.0.controllers.wait_for_failure(task).await;
        }
        match self.0.store.writer_exited().await {
            Err(cause) => cause,
            // It was closed.
            Ok(()) => std::future::pending().await,
        }
    }

    /// Ends all watches cleanly, and those that are opened from now on at
    /// once. Everything else goes on until [`ApiServer::close`].
    pub fn end_watches(&self) {
        self.0.shutdown.send_replace(true);
    }

    /// Ends all watches cleanly, finishes what is being written and closes the
    /// store. Requests that come later are refused.
    pub async fn close(&self) {
        self.end_watches();
        self.0.controllers.close().await;
        self.0.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health;

    async fn body(response: http::Response<crate::ResponseBody>) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let status = response.status().as_u16();
        let collected = response.into_body().collect().await;
        let bytes = collected.map(|body| body.to_bytes()).unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_controller_that_fails_is_named_by_the_health_checks() {
        let server = ApiServer::open(ApiServerOptions::in_memory())
            .await
            .unwrap();
        let (status, text) = body(health::health(&server.0, "readyz", None, true)).await;
        assert_eq!(status, 200);
        for task in ServerTask::ALL {
            assert!(text.contains(&format!("[+]{} ok\n", task.name())), "{text}");
        }
        let broken = tokio::spawn(async { Err("injected".to_owned()) });
        let task = ServerTask::DefinitionController;
        server.0.controllers.supervise(task, broken).await;
        assert_eq!(server.task_failed(task).await, "injected");
        for name in ["readyz", "livez"] {
            let (status, text) = body(health::health(&server.0, name, None, false)).await;
            assert_eq!(status, 503);
            assert!(text.contains("[-]crd-controller failed: "), "{text}");
            assert!(text.contains("[+]storage-writer ok\n"), "{text}");
        }
        server.close().await;
    }

    #[tokio::test]
    async fn a_server_that_was_closed_has_not_failed() {
        let server = ApiServer::open(ApiServerOptions::in_memory())
            .await
            .unwrap();
        server.close().await;
        for task in ServerTask::ALL {
            let failed = server.task_failed(task);
            assert!(futures::FutureExt::now_or_never(failed).is_none());
        }
    }
}
