//! What runs beside the requests until the server closes. The server cannot do
//! without any of it, so its owner is told when a part ends.

use std::collections::BTreeMap;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A task that the server cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerTask {
    /// Serves what CustomResourceDefinitions define.
    DefinitionController,
    /// Ends namespaces.
    NamespaceController,
    /// Deletes what depended on objects that are gone.
    GarbageCollector,
    /// The thread that writes to the database.
    StorageWriter,
}

impl ServerTask {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::DefinitionController,
        Self::NamespaceController,
        Self::GarbageCollector,
        Self::StorageWriter,
    ];

    /// The name of its health check.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DefinitionController => "crd-controller",
            Self::NamespaceController => "namespace-controller",
            Self::GarbageCollector => "garbage-collector",
            Self::StorageWriter => "storage-writer",
        }
    }
}

/// A controller that runs until its token is cancelled; the error says why it
/// cannot go on.
pub(crate) type ControllerHandle = JoinHandle<Result<(), String>>;

/// The controllers of one server.
#[derive(Debug, Default)]
pub(crate) struct ControllerSet {
    shutdown: CancellationToken,
    failures: watch::Sender<BTreeMap<ServerTask, String>>,
    observers: Mutex<Vec<JoinHandle<()>>>,
}

impl ControllerSet {
    /// Tells the controllers to end.
    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Sees how a controller ends.
    pub(crate) async fn supervise(&self, task: ServerTask, controller: ControllerHandle) {
        let (stop, failures) = (self.shutdown.clone(), self.failures.clone());
        let observer = tokio::spawn(async move {
            let cause = match controller.await {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => "it ended on its own".to_owned(),
                Ok(Err(error)) => error,
                // Names the panic.
                Err(error) => error.to_string(),
            };
            tracing::error!(
                task = task.name(),
                cause,
                "a controller of the API server failed"
            );
            failures.send_modify(|failures| {
                failures.insert(task, cause);
            });
        });
        self.observers.lock().await.push(observer);
    }

    /// Why `task` has ended, if nobody told it to.
    pub(crate) fn failure(&self, task: ServerTask) -> Option<String> {
        self.failures.borrow().get(&task).cloned()
    }

    /// Returns when `task` has ended without being told to, and says why.
    pub(crate) async fn wait_for_failure(&self, task: ServerTask) -> String {
        let mut failures = self.failures.subscribe();
        let failed = failures
            .wait_for(|failures| failures.contains_key(&task))
            .await;
        let cause = failed
            .ok()
            .and_then(|failures| failures.get(&task).cloned());
        match cause {
            Some(cause) => cause,
            // The sender is our own.
            None => std::future::pending().await,
        }
    }

    /// Ends all controllers and waits until they have.
    pub(crate) async fn close(&self) {
        self.shutdown.cancel();
        // The lock ends with this statement; in the head of the loop it would
        // be held for all of it.
        let observers = std::mem::take(&mut *self.observers.lock().await);
        for observer in observers {
            if let Err(error) = observer.await {
                tracing::error!(%error, "the observer of a controller failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_controller_that_ends_in_any_way_is_told_with_its_cause() {
        for (how, cause) in [
            ("return", "it ended on its own"),
            ("error", "no more"),
            ("panic", "injected"),
        ] {
            let tasks = ControllerSet::default();
            let controller = tokio::spawn(async move {
                match how {
                    "return" => Ok(()),
                    "error" => Err("no more".to_owned()),
                    _ => panic!("injected"),
                }
            });
            let task = ServerTask::GarbageCollector;
            assert_eq!(tasks.failure(task), None);
            tasks.supervise(task, controller).await;
            let told = tokio::time::timeout(PATIENCE, tasks.wait_for_failure(task))
                .await
                .unwrap();
            assert!(told.contains(cause), "{told}");
            assert_eq!(tasks.failure(task), Some(told));
            assert_eq!(tasks.failure(ServerTask::DefinitionController), None);
            tasks.close().await;
        }
    }

    #[tokio::test]
    async fn one_that_was_told_to_end_has_not_failed() {
        let tasks = ControllerSet::default();
        let stop = tasks.shutdown_token();
        let controller = tokio::spawn(async move {
            stop.cancelled().await;
            Ok(())
        });
        let task = ServerTask::NamespaceController;
        tasks.supervise(task, controller).await;
        tasks.close().await;
        assert_eq!(tasks.failure(task), None);
    }
}
