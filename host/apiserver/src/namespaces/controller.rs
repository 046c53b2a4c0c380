//! Ends namespaces: deletes what is in a terminating one, says in its
//! conditions what is left, and lets it go when nothing is.
//!
//! No new object comes into a namespace once it terminates (a create rests on
//! the namespace as it was read), so one that was found empty stays empty.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdd_apiserver_storage::{EventKind, StoreEvent, StoreWatch, StoredRecord};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{FINALIZER, KEY_PREFIX, conditions, content};
use crate::clock;
use crate::controller_loop::{StoreController, run_controller};
use crate::meta;
use crate::records;
use crate::server::ServerState;
use crate::tasks::ControllerHandle;

struct NamespaceController {
    server: Arc<ServerState>,
    /// Keys of the namespaces that terminate.
    terminating: BTreeSet<Arc<str>>,
}

/// Follows the namespaces until `stop`.
pub(crate) fn start(
    server: &Arc<ServerState>,
    stop: CancellationToken,
) -> Result<ControllerHandle, String> {
    let mut controller = NamespaceController {
        server: Arc::clone(server),
        terminating: BTreeSet::new(),
    };
    let watch = controller.relist()?;
    Ok(tokio::spawn(run_controller(controller, watch, stop)))
}

impl StoreController for NamespaceController {
    const WATCHED: &'static str = "namespaces";

    async fn relist(&mut self) -> Result<StoreWatch, String> {
        self.relist()
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        let ends = event.kind != EventKind::Deleted
            && records::parse(&event.value).is_ok_and(|object| meta::terminating(&object));
        if !ends {
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
    /// Learns all namespaces anew, and watches from there.
    fn relist(&mut self) -> Result<StoreWatch, String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch(KEY_PREFIX, snapshot.revision())
            .map_err(|error| error.to_string())?;
        self.terminating = snapshot
            .range(KEY_PREFIX, None)
            .filter(|record| is_terminating(record))
            .map(|record| Arc::clone(&record.key))
            .collect();
        Ok(watch)
    }

    /// Does what a terminating namespace needs next.
    async fn reconcile(&self, key: &str) {
        let Some(record) = self.server.store.snapshot().get(key).cloned() else {
            return;
        };
        let mut object = match records::read(&record) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(%error, "a namespace cannot be deleted");
                return;
            }
        };
        let held = object
            .pointer("/spec/finalizers")
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().any(|finalizer| finalizer == FINALIZER));
        if !meta::terminating(&object) || !held {
            return;
        }
        let name = key.strip_prefix(KEY_PREFIX).unwrap_or(key);
        let remains = content::delete(&self.server, name).await;
        let before = object.clone();
        let now = clock::seconds((self.server.clock)());
        conditions::update(&mut object, &remains, &now);
        if remains.is_empty()
            && let Some(list) = object
                .pointer_mut("/spec/finalizers")
                .and_then(Value::as_array_mut)
        {
            list.retain(|finalizer| finalizer != FINALIZER);
        }
        if object == before {
            return;
        }
        match records::replace(&self.server, &record, &object, true).await {
            Ok(_) => {}
            // Looked at again by the next event or tick.
            Err(error) if error.is_conflict() => {}
            Err(error) => tracing::error!(key, %error, "a namespace cannot be finalized"),
        }
    }
}

fn is_terminating(record: &StoredRecord) -> bool {
    records::read(record).is_ok_and(|object| meta::terminating(&object))
}
