//! Follows every event of the store and looks at the objects that it concerns.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::{EventKind, StoreEvent, StoreSnapshot, StoreWatch};
use tokio_util::sync::CancellationToken;

use super::collect::{self, CollectError};
use super::graph::{Graph, Node};
use crate::follow::{Follow, follow};
use crate::records;
use crate::server::Inner;
use crate::tasks::ControllerHandle;

/// Objects that are read before others have their turn.
const TURN: usize = 500;

/// Keys to look at; with the uid of an owner whose deletion was seen.
type Queue = BTreeMap<Arc<str>, Option<String>>;

struct Controller {
    server: Arc<Inner>,
    graph: Graph,
    queue: Queue,
    /// What failed in the last look at a queued key: told once, not each time.
    failures: BTreeMap<Arc<str>, String>,
}

/// Collects garbage until `stop`.
pub(crate) fn start(
    server: &Arc<Inner>,
    stop: CancellationToken,
) -> Result<ControllerHandle, String> {
    let mut controller = Controller {
        server: Arc::clone(server),
        graph: Graph::default(),
        queue: Queue::new(),
        failures: BTreeMap::new(),
    };
    let (watch, snapshot) = controller.begin()?;
    Ok(tokio::spawn(async move {
        // Not before the server is open: there may be much to read.
        controller.learn_all(&snapshot).await;
        drop(snapshot);
        controller.work().await;
        follow(controller, watch, stop).await
    }))
}

impl Follow for Controller {
    const WHAT: &'static str = "garbage";

    async fn list(&mut self) -> Result<StoreWatch, String> {
        let (watch, snapshot) = self.begin()?;
        self.learn_all(&snapshot).await;
        self.work().await;
        Ok(watch)
    }

    async fn handle(&mut self, event: &StoreEvent) {
        self.learn(event);
        self.work().await;
    }

    fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    async fn look_again(&mut self) {
        self.work().await;
    }
}

impl Controller {
    /// What is stored now, and the watch from there.
    fn begin(&self) -> Result<(StoreWatch, StoreSnapshot), String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch("", snapshot.revision())
            .map_err(|error| error.to_string())?;
        Ok((watch, snapshot))
    }

    /// Learns everything anew.
    async fn learn_all(&mut self, snapshot: &StoreSnapshot) {
        self.graph = Graph::default();
        for (index, record) in snapshot.range("", None).enumerate() {
            if index % TURN == TURN - 1 {
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

    fn learn(&mut self, event: &StoreEvent) {
        if event.kind != EventKind::Deleted {
            return self.put(&event.key, &event.value);
        }
        for key in self.graph.remove(&event.key) {
            self.queue.entry(key).or_default();
        }
        if self.graph.owns_nothing() {
            return;
        }
        match Node::read(&event.value) {
            Ok(Node { uid, .. }) => {
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
    async fn work(&mut self) {
        let (server, graph) = (&self.server, &self.graph);
        let results: Vec<_> = futures::stream::iter(std::mem::take(&mut self.queue))
            .map(|(key, gone)| async move {
                let result = collect::collect(server, graph, &key, gone.as_deref()).await;
                (key, gone, result)
            })
            .buffer_unordered(records::AT_ONCE)
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
        CollectError::Record(error) if error.is_overtaken() => {}
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
