//! Supervises the long-running tasks of the daemon. If one ends before its
//! shutdown, its name and the cause are logged, its `/readyz` check fails, and
//! the daemon shuts down.
//!
//! Crates for this (tokio-graceful-shutdown, task-supervisor) stop all tasks at
//! once or restart them. The daemon stops its tasks in order, and the state of a
//! failed task cannot be trusted.

use std::future::Future;

use anyhow::Result;
use rdd_gateway::{DaemonPhase, HealthCheck, HealthReport};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::fault_injection;

/// Spawns tasks and reports the first one that fails.
pub(crate) struct TaskSupervisor {
    health: watch::Sender<HealthReport>,
    failure: watch::Sender<Option<TaskError>>,
}

/// The failure of a task: it ended before its shutdown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} failed: {cause}")]
pub(crate) struct TaskError {
    /// The name of the task.
    pub(crate) task: &'static str,
    /// Its error, its panic, or that it ended on its own.
    pub(crate) cause: String,
}

/// A task that runs until it is stopped.
#[must_use = "a task that is not stopped is aborted when the process exits"]
pub(crate) struct TaskHandle {
    shutdown: CancellationToken,
    monitor: JoinHandle<()>,
}

impl TaskSupervisor {
    /// Creates a supervisor without tasks, in the phase `Starting`.
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::default(),
            failure: watch::Sender::default(),
        }
    }

    /// Returns the report that `/readyz` serves.
    pub(crate) fn health(&self) -> watch::Receiver<HealthReport> {
        self.health.subscribe()
    }

    /// Sets the phase of the daemon.
    pub(crate) fn set_phase(&self, phase: DaemonPhase) {
        self.health.send_modify(|report| report.phase = phase);
    }

    /// Spawns `task`, which has to run until its token is cancelled. Its span has
    /// the field `name`.
    pub(crate) fn spawn<F>(
        &self,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> F,
    ) -> TaskHandle
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.health.send_modify(|report| {
            report.checks.push(HealthCheck {
                name,
                failed: false,
            });
        });
        let shutdown = CancellationToken::new();
        let task = fault_injection::inject(name, self.health(), task(shutdown.clone()));
        let running = tokio::spawn(task.instrument(tracing::info_span!("task", name)));
        let (health, failure) = (self.health.clone(), self.failure.clone());
        let token = shutdown.clone();
        let monitor = tokio::spawn(async move {
            let cause = match running.await {
                Ok(Ok(())) if token.is_cancelled() => return,
                Ok(Ok(())) => "it ended on its own".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(error) => panic_message(error),
            };
            tracing::error!(task = name, cause, "a task of the daemon failed");
            health.send_modify(|report| {
                for check in report.checks.iter_mut().filter(|check| check.name == name) {
                    check.failed = true;
                }
            });
            failure.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(TaskError { task: name, cause });
                is_first
            });
        });
        TaskHandle { shutdown, monitor }
    }

    /// Waits for a task to fail, and returns the first failure.
    pub(crate) async fn failed(&self) -> TaskError {
        let mut failures = self.failure.subscribe();
        let failed = failures.wait_for(Option::is_some).await;
        let failure = failed.ok().and_then(|failure| failure.clone());
        match failure {
            Some(failure) => failure,
            // `self` owns the sender, so the channel is never closed.
            None => std::future::pending().await,
        }
    }

    /// Returns the first failure, if any.
    pub(crate) fn failure(&self) -> Option<TaskError> {
        self.failure.borrow().clone()
    }
}

impl TaskHandle {
    /// Stops the task and waits until it has ended.
    pub(crate) async fn shutdown(self) {
        self.shutdown.cancel();
        if let Err(error) = self.monitor.await {
            tracing::error!(%error, "the monitor of a task failed");
        }
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned());
            format!("it panicked: {message}")
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn failed_checks(supervisor: &TaskSupervisor) -> Vec<&'static str> {
        let report = supervisor.health().borrow().clone();
        let failed = report.checks.iter().filter(|check| check.failed);
        failed.map(|check| check.name).collect()
    }

    #[tokio::test]
    async fn a_task_that_ends_is_reported_with_its_cause() {
        for (how, cause) in [
            ("return", "it ended on its own"),
            ("error", "cannot continue: no input"),
            ("panic", "it panicked: injected 7"),
        ] {
            let supervisor = TaskSupervisor::new();
            let _good = supervisor.spawn("good", |shutdown| async move {
                shutdown.cancelled().await;
                Ok(())
            });
            let _bad = supervisor.spawn("bad", |_| async move {
                match how {
                    "return" => Ok(()),
                    "error" => Err(anyhow::anyhow!("no input").context("cannot continue")),
                    _ => panic!("injected {}", 7),
                }
            });
            let failure = supervisor.failed().await;
            assert_eq!((failure.task, failure.cause.as_str()), ("bad", cause));
            assert_eq!(supervisor.failure(), Some(failure));
            assert_eq!(failed_checks(&supervisor), ["bad"]);
        }
    }

    #[tokio::test]
    async fn a_stopped_task_has_not_failed() {
        let supervisor = TaskSupervisor::new();
        let task = supervisor.spawn("good", |shutdown| async move {
            shutdown.cancelled().await;
            Ok(())
        });
        task.shutdown().await;
        assert_eq!(supervisor.failure(), None);
        assert!(failed_checks(&supervisor).is_empty());
    }

    #[tokio::test]
    async fn a_task_that_fails_during_its_shutdown_has_failed() {
        let supervisor = TaskSupervisor::new();
        let task = supervisor.spawn("bad", |shutdown| async move {
            shutdown.cancelled().await;
            bail!("the last write was lost")
        });
        task.shutdown().await;
        let failure = supervisor.failure().unwrap();
        assert_eq!(failure.to_string(), "bad failed: the last write was lost");
    }
}
