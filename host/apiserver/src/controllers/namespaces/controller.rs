//! The namespace controller: it deletes the objects in a terminating namespace,
//! reports what remains in its conditions, and removes the finalizer from an
//! empty one.
//!
//! No object is created in a terminating namespace (a create is guarded by the
//! namespace as it was read), so an empty one stays empty.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdd_apiserver_storage::{EventKind, StoreEvent, StoreWatch, StoredRecord, WatchError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{FINALIZER, conditions, content};
use crate::controllers::controller_loop::{StoreController, run_controller};
use crate::controllers::record_writes;
use crate::meta;
use crate::records::{self, NAMESPACE_PREFIX};
use crate::server_state::ServerState;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};
use crate::timestamp;

struct NamespaceController {
    server: Arc<ServerState>,
    /// The keys of the terminating namespaces.
    terminating: BTreeSet<Arc<str>>,
}

/// Starts the namespace controller.
pub(crate) fn start(
    server: &Arc<ServerState>,
    shutdown: CancellationToken,
) -> Result<ControllerHandle, WatchError> {
    let mut controller = NamespaceController {
        server: Arc::clone(server),
        terminating: BTreeSet::new(),
    };
    let watch = controller.list()?;
    Ok(spawn_controller(
        ServerTask::NamespaceController,
        run_controller(controller, watch, shutdown),
    ))
}

impl StoreController for NamespaceController {
    const WATCHED: &'static str = "namespaces";

    async fn relist(&mut self) -> Result<StoreWatch, WatchError> {
        self.list()
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        let is_terminating = event.kind != EventKind::Deleted
            && records::parse(&event.value).is_ok_and(|object| meta::is_terminating(&object));
        if !is_terminating {
            self.terminating.remove(&event.key);
        } else if self.terminating.insert(Arc::clone(&event.key)) {
            self.reconcile(&event.key).await;
        }
    }

    fn has_pending_work(&self) -> bool {
        !self.terminating.is_empty()
    }

    async fn retry_pending(&mut self) {
        for key in self.terminating.clone() {
            self.reconcile(&key).await;
        }
    }
}

impl NamespaceController {
    /// Lists all namespaces and returns the watch that continues from there.
    fn list(&mut self) -> Result<StoreWatch, WatchError> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch(NAMESPACE_PREFIX, snapshot.revision())?;
        self.terminating = snapshot
            .range(NAMESPACE_PREFIX, None)
            .filter(|record| is_terminating(record))
            .map(|record| Arc::clone(&record.key))
            .collect();
        Ok(watch)
    }

    /// Does the next step for a terminating namespace.
    async fn reconcile(&self, key: &str) {
        let Some(record) = self.server.store.snapshot().get(key).cloned() else {
            return;
        };
        let mut object = match records::read(&record) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(%error, "cannot delete a namespace");
                return;
            }
        };
        let has_finalizer = object
            .pointer("/spec/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER));
        if !meta::is_terminating(&object) || !has_finalizer {
            return;
        }
        let name = key.strip_prefix(NAMESPACE_PREFIX).unwrap_or(key);
        let remaining = content::delete_all(&self.server, name).await;
        let before = object.clone();
        let now = timestamp::rfc3339_seconds(self.server.clock.now());
        conditions::update(&mut object, &remaining, &now);
        if remaining.is_empty()
            && let Some(list) = object
                .pointer_mut("/spec/finalizers")
                .and_then(Value::as_array_mut)
        {
            list.retain(|finalizer| finalizer != FINALIZER);
        }
        if object == before {
            return;
        }
        match record_writes::replace(&self.server, &record, &object, true).await {
            Ok(_) => {}
            // Retried at the next event or tick.
            Err(error) if error.is_conflict() => {}
            Err(error) => tracing::error!(key, %error, "cannot finalize a namespace"),
        }
    }
}

fn is_terminating(record: &StoredRecord) -> bool {
    records::read(record).is_ok_and(|object| meta::is_terminating(&object))
}
