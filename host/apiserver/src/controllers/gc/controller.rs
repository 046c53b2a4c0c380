//! The garbage collector: it watches all objects and collects those that an
//! event concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::{EventKind, StoreEvent, StoreSnapshot, StoreWatch, WatchError};
use tokio_util::sync::CancellationToken;

use super::collect::{self, CollectError};
use super::graph::{GraphNode, OwnerGraph};
use crate::controllers::controller_loop::{StoreController, run_controller};
use crate::controllers::record_writes;
use crate::server_state::ServerState;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};

/// The number of objects that are read before the task yields.
const READ_BATCH: usize = 500;

/// The keys to collect, with the UID of an owner whose deletion was observed.
type WorkQueue = BTreeMap<Arc<str>, Option<String>>;

struct GarbageCollector {
    server: Arc<ServerState>,
    graph: OwnerGraph,
    queue: WorkQueue,
    /// The last error of each queued key, which is logged once only.
    failures: BTreeMap<Arc<str>, String>,
}

/// Starts the garbage collector.
pub(crate) fn start(
    server: &Arc<ServerState>,
    shutdown: CancellationToken,
) -> Result<ControllerHandle, WatchError> {
    let mut controller = GarbageCollector {
        server: Arc::clone(server),
        graph: OwnerGraph::default(),
        queue: WorkQueue::new(),
        failures: BTreeMap::new(),
    };
    let (watch, snapshot) = controller.snapshot_and_watch()?;
    Ok(spawn_controller(ServerTask::GarbageCollector, async move {
        // In the task, so that opening the server does not wait for it: there
        // may be many objects.
        controller.rebuild_graph(&snapshot).await;
        drop(snapshot);
        controller.collect_queued().await;
        run_controller(controller, watch, shutdown).await
    }))
}

impl StoreController for GarbageCollector {
    const WATCHED: &'static str = "objects for the garbage collector";

    async fn relist(&mut self) -> Result<StoreWatch, WatchError> {
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
    /// Returns a snapshot and the watch that continues from it.
    fn snapshot_and_watch(&self) -> Result<(StoreWatch, StoreSnapshot), WatchError> {
        let snapshot = self.server.store.snapshot();
        let watch = self.server.store.watch("", snapshot.revision())?;
        Ok((watch, snapshot))
    }

    /// Builds the graph from a snapshot and queues all its objects.
    async fn rebuild_graph(&mut self, snapshot: &StoreSnapshot) {
        self.graph = OwnerGraph::default();
        for (index, record) in snapshot.range("", None).enumerate() {
            if index % READ_BATCH == READ_BATCH - 1 {
                tokio::task::yield_now().await;
            }
            self.put(&record.key, &record.value);
        }
        // While objects are read in the order of their keys, the dependents of
        // an object may not be in the graph yet.
        for key in self.graph.keys() {
            self.queue.entry(key).or_default();
        }
    }

    fn put(&mut self, key: &Arc<str>, stored: &[u8]) {
        match self.graph.put(key, stored) {
            Ok(affected) => {
                for key in affected {
                    self.queue.entry(key).or_default();
                }
            }
            Err(error) => tracing::error!(%key, %error, "cannot read a stored object"),
        }
    }

    /// Updates the graph by an event and queues the affected objects.
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
                tracing::error!(key = %event.key, %error, "cannot read a deleted object")
            }
        }
    }

    /// Collects the queued objects. Those with a transient error stay queued.
    async fn collect_queued(&mut self) {
        let (server, graph) = (&self.server, &self.graph);
        let results: Vec<_> = futures::stream::iter(std::mem::take(&mut self.queue))
            .map(|(key, deleted_owner)| async move {
                let result = collect::collect(server, graph, &key, deleted_owner.as_deref()).await;
                (key, deleted_owner, result)
            })
            .buffer_unordered(record_writes::MAX_CONCURRENT_COMMITS)
            .collect()
            .await;
        let before = std::mem::take(&mut self.failures);
        for (key, deleted_owner, result) in results {
            let Err(error) = result else { continue };
            let message = error.to_string();
            if before.get(&key) != Some(&message) {
                log_failure(&key, &error);
            }
            if error.is_transient() {
                self.failures.insert(Arc::clone(&key), message);
                self.queue.insert(key, deleted_owner);
            }
        }
    }
}

fn log_failure(key: &str, error: &CollectError) {
    match error {
        CollectError::Record(error) if error.is_conflict() => {}
        CollectError::Request(denied) if denied.code() == 403 => {
            tracing::warn!(
                key,
                error = denied.message(),
                "a policy refused to delete an object whose owners are gone"
            );
        }
        error => tracing::warn!(key, %error, "cannot collect an object; trying again"),
    }
}
