//! Follows every event of the store and looks at the objects that it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::{EventKind, StoreEvent, StoreSnapshot, StoreWatch};
use tokio_util::sync::CancellationToken;

use super::collect::{self, CollectError};
use super::graph::{GraphNode, OwnerGraph};
use crate::controller_loop::{StoreController, run_controller};
use crate::records;
use crate::server::ServerState;
use crate::tasks::ControllerHandle;

/// Objects that are read before others have their turn.
const READ_BATCH: usize = 500;

/// Keys to look at; with the uid of an owner whose deletion was seen.
type Queue = BTreeMap<Arc<str>, Option<String>>;

struct GarbageCollector {
    server: Arc<ServerState>,
    graph: OwnerGraph,
    queue: Queue,
    /// What failed in the last look at a queued key: told once, not each time.
    failures: BTreeMap<Arc<str>, String>,
}

/// Collects garbage until `stop`.
pub(crate) fn start(
    server: &Arc<ServerState>,
    stop: CancellationToken,
) -> Result<ControllerHandle, String> {
    let mut controller = GarbageCollector {
        server: Arc::clone(server),
        graph: OwnerGraph::default(),
        queue: Queue::new(),
        failures: BTreeMap::new(),
    };
    let (watch, snapshot) = controller.snapshot_and_watch()?;
    Ok(tokio::spawn(async move {
        // Not before the server is open: there may be much to read.
        controller.rebuild_graph(&snapshot).await;
        drop(snapshot);
        controller.collect_queued().await;
        run_controller(controller, watch, stop).await
    }))
}

impl StoreController for GarbageCollector {
    const WATCHED: &'static str = "garbage";

    async fn relist(&mut self) -> Result<StoreWatch, String> {
        let (watch, snapshot) = self.snapshot_and_watch()?;
        self.rebuild_graph(&snapshot).await;
        self.collect_queued().await;
        Ok(watch)
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        self.observe(event);
        self.collect_queued().await;
    }

    fn has_pending_work(&self) -> bool {
        !self.queue.is_empty()
    }

    async fn retry_pending(&mut self) {
        self.collect_queued().await;
    }
}

impl GarbageCollector {
    /// What is stored now, and the watch from there.
    fn snapshot_and_watch(&self) -> Result<(StoreWatch, StoreSnapshot), String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch("", snapshot.revision())
            .map_err(|error| error.to_string())?;
        Ok((watch, snapshot))
    }

    /// Learns everything anew.
    async fn rebuild_graph(&mut self, snapshot: &StoreSnapshot) {
        self.graph = OwnerGraph::default();
        for (index, record) in snapshot.range("", None).enumerate() {
            if index % READ_BATCH == READ_BATCH - 1 {
                tokio::task::yield_now().await;
            }
            self.put(&record.key, &record.value);
        }
        // In the order of their keys nobody knows yet who depends on whom.
        for key in self.graph.keys() {
            self.queue.entry(key).or_default();
        }
    }

    fn put(&mut self, key: &Arc<str>, stored: &[u8]) {
        match self.graph.put(key, stored) {
            Ok(look) => {
                for key in look {
                    self.queue.entry(key).or_default();
                }
            }
            Err(error) => tracing::error!(%key, %error, "a stored object cannot be read"),
        }
    }

    fn observe(&mut self, event: &StoreEvent) {
        if event.kind != EventKind::Deleted {
            return self.put(&event.key, &event.value);
        }
        for key in self.graph.remove(&event.key) {
            self.queue.entry(key).or_default();
        }
        if self.graph.has_no_dependents() {
            return;
        }
        match GraphNode::read(&event.value) {
            Ok(GraphNode { uid, .. }) => {
                for key in self.graph.dependents(&uid) {
                    self.queue.insert(key, Some(uid.clone()));
                }
            }
            Err(error) => {
                tracing::error!(key = %event.key, %error, "a deleted object cannot be read")
            }
        }
    }

    /// Looks at what is queued; what fails for the moment stays.
    async fn collect_queued(&mut self) {
        let (server, graph) = (&self.server, &self.graph);
        let results: Vec<_> = futures::stream::iter(std::mem::take(&mut self.queue))
            .map(|(key, gone)| async move {
                let result = collect::collect(server, graph, &key, gone.as_deref()).await;
                (key, gone, result)
            })
            .buffer_unordered(records::MAX_CONCURRENT_COMMITS)
            .collect()
            .await;
        let before = std::mem::take(&mut self.failures);
        for (key, gone, result) in results {
            let Err(error) = result else { continue };
            let message = error.to_string();
            if before.get(&key) != Some(&message) {
                report(&key, &error);
            }
            if error.is_transient() {
                self.failures.insert(Arc::clone(&key), message);
                self.queue.insert(key, gone);
            }
        }
    }
}

fn report(key: &str, error: &CollectError) {
    match error {
        CollectError::Record(error) if error.is_conflict() => {}
        CollectError::Delete(denied) if denied.code() == 403 => {
            tracing::warn!(
                key,
                error = denied.message(),
                "an object whose owner is gone stays"
            );
        }
        error => tracing::warn!(key, %error, "an object is not collected yet"),
    }
}
