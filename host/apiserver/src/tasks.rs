//! The long-running tasks of a server. The server needs all of them, so its
//! embedder is notified when one fails.

use std::collections::BTreeMap;
use std::future::Future;

use rdd_apiserver_storage::WatchError;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

/// A task that the server needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerTask {
    /// Serves the resources that CustomResourceDefinitions define.
    DefinitionController,
    /// Compiles ValidatingAdmissionPolicies.
    PolicyController,
    /// Puts roles and bindings in force.
    RoleController,
    /// Empties and deletes terminating namespaces.
    NamespaceController,
    /// Deletes the dependents of deleted objects.
    GarbageCollector,
    /// Writes the audit log, if there is one.
    AuditLog,
    /// Writes to the database, on a thread.
    StorageWriter,
}

impl ServerTask {
    /// All tasks.
    pub const ALL: [Self; 7] = [
        Self::DefinitionController,
        Self::PolicyController,
        Self::RoleController,
        Self::NamespaceController,
        Self::GarbageCollector,
        Self::AuditLog,
        Self::StorageWriter,
    ];

    /// Returns the name of the task's health check.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DefinitionController => "crd-controller",
            Self::PolicyController => "policy-controller",
            Self::RoleController => "role-controller",
            Self::NamespaceController => "namespace-controller",
            Self::GarbageCollector => "garbage-collector",
            Self::AuditLog => "audit-log",
            Self::StorageWriter => "storage-writer",
        }
    }
}

/// The reason why a controller exited before shutdown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControllerError {
    /// The store was closed under the controller.
    #[error("the store was closed")]
    StoreClosed,
    /// The watch ended and cannot be started again.
    #[error("cannot watch {watched} any longer: {error}")]
    Watch {
        /// The watched resources.
        watched: &'static str,
        error: WatchError,
    },
}

/// A controller that runs until its shutdown token is cancelled.
pub(crate) type ControllerHandle = JoinHandle<Result<(), ControllerError>>;

/// Spawns a controller's future in the span of its task.
pub(crate) fn spawn_controller(
    task: ServerTask,
    controller: impl Future<Output = Result<(), ControllerError>> + Send + 'static,
) -> ControllerHandle {
    tokio::spawn(controller.instrument(info_span!("controller", name = task.name())))
}

/// The running controllers of one server.
#[derive(Debug, Default)]
pub(crate) struct ControllerSet {
    shutdown: CancellationToken,
    failures: watch::Sender<BTreeMap<ServerTask, String>>,
    supervisors: Mutex<Vec<JoinHandle<()>>>,
}

impl ControllerSet {
    /// Returns the token that stops the controllers.
    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Records and logs it when `controller` fails.
    pub(crate) async fn supervise(&self, task: ServerTask, controller: ControllerHandle) {
        let (shutdown, failures) = (self.shutdown.clone(), self.failures.clone());
        let supervisor = tokio::spawn(async move {
            let cause = match controller.await {
                Ok(Ok(())) if shutdown.is_cancelled() => return,
                Ok(Ok(())) => "it exited before shutdown".to_owned(),
                Ok(Err(error)) => error.to_string(),
                // Contains the message of the panic.
                Err(error) => error.to_string(),
            };
            tracing::error!(
                task = task.name(),
                error = cause,
                "a controller of the API server failed"
            );
            failures.send_modify(|failures| {
                failures.insert(task, cause);
            });
        });
        self.supervisors.lock().await.push(supervisor);
    }

    /// Returns why `task` failed, if it did.
    pub(crate) fn failure(&self, task: ServerTask) -> Option<String> {
        self.failures.borrow().get(&task).cloned()
    }

    /// Waits until `task` fails and returns the reason.
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
            // Unreachable: `self` holds the sender.
            None => std::future::pending().await,
        }
    }

    /// Stops all controllers and waits until they have exited.
    pub(crate) async fn close(&self) {
        self.shutdown.cancel();
        // The lock is released at the end of this statement. In the head of
        // the loop it would be held for the whole loop.
        let supervisors = std::mem::take(&mut *self.supervisors.lock().await);
        for supervisor in supervisors {
            if let Err(error) = supervisor.await {
                tracing::error!(%error, "the supervisor of a controller panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rdd_testkit::PATIENCE;

    use super::*;

    #[tokio::test]
    async fn a_controller_that_exits_in_any_way_is_reported_with_its_cause() {
        for (how, cause) in [
            ("return", "it exited before shutdown"),
            ("error", "the store was closed"),
            ("panic", "injected"),
        ] {
            let tasks = ControllerSet::default();
            let controller = tokio::spawn(async move {
                match how {
                    "return" => Ok(()),
                    "error" => Err(ControllerError::StoreClosed),
                    _ => panic!("injected"),
                }
            });
            let task = ServerTask::GarbageCollector;
            assert_eq!(tasks.failure(task), None);
            tasks.supervise(task, controller).await;
            let reported = tokio::time::timeout(PATIENCE, tasks.wait_for_failure(task))
                .await
                .unwrap();
            assert!(reported.contains(cause), "{reported}");
            assert_eq!(tasks.failure(task), Some(reported));
            assert_eq!(tasks.failure(ServerTask::DefinitionController), None);
            tasks.close().await;
        }
    }

    #[tokio::test]
    async fn a_controller_that_was_stopped_has_not_failed() {
        let tasks = ControllerSet::default();
        let shutdown = tasks.shutdown_token();
        let controller = tokio::spawn(async move {
            shutdown.cancelled().await;
            Ok(())
        });
        let task = ServerTask::NamespaceController;
        tasks.supervise(task, controller).await;
        tasks.close().await;
        assert_eq!(tasks.failure(task), None);
    }
}
