//! The long tasks of the daemon. None may end without being told to: when one
//! does, the log says which and why, `/readyz` names it, and the daemon ends.
//!
//! Crates for this (tokio-graceful-shutdown, task-supervisor) end all tasks at
//! once or start them again. The daemon ends its parts one after the other,
//! and a part that failed cannot be trusted to go on.

use std::future::Future;

use anyhow::Result;
use rdd_gateway::{DaemonPhase, HealthCheck, HealthReport};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::fault;

/// Starts tasks, and reports the first one that fails.
pub(crate) struct Supervisor {
    health: watch::Sender<HealthReport>,
    failure: watch::Sender<Option<TaskFailure>>,
}

/// A task that ended without being told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{task} failed: {cause}")]
pub(crate) struct TaskFailure {
    /// The name that the task was started with.
    pub(crate) task: &'static str,
    /// Its error, its panic, or that it just ended.
    pub(crate) cause: String,
}

/// A task that runs until it is told to end.
#[must_use = "a task that nobody stops is cut off at the end"]
pub(crate) struct TaskHandle {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Supervisor {
    /// Without tasks, in the phase of starting.
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::default(),
            failure: watch::Sender::default(),
        }
    }

    /// What `/readyz` tells.
    pub(crate) fn health(&self) -> watch::Receiver<HealthReport> {
        self.health.subscribe()
    }

    /// Moves the daemon to another phase.
    pub(crate) fn enter(&self, phase: DaemonPhase) {
        self.health.send_modify(|report| report.phase = phase);
    }

    /// Runs `task`, which has to go on until the token that it is given is
    /// cancelled.
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
        let stop = CancellationToken::new();
        let task = fault::inject(name, self.health(), task(stop.clone()));
        let running = tokio::spawn(task.instrument(tracing::info_span!("task", name)));
        let (health, failure) = (self.health.clone(), self.failure.clone());
        let stopping = stop.clone();
        let ended = tokio::spawn(async move {
            let cause = match running.await {
                Ok(Ok(())) if stopping.is_cancelled() => return,
                Ok(Ok(())) => "it ended on its own".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(error) => panic_message(error),
            };
            tracing::error!(task = name, cause, "a part of the daemon failed");
            health.send_modify(|report| {
                for check in report.checks.iter_mut().filter(|check| check.name == name) {
                    check.failed = true;
                }
            });
            failure.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(TaskFailure { task: name, cause });
                is_first
            });
        });
        TaskHandle { stop, ended }
    }

    /// The first task that failed, as soon as one has.
    pub(crate) async fn failed(&self) -> TaskFailure {
        let mut failures = self.failure.subscribe();
        let failed = failures.wait_for(Option::is_some).await;
        let failure = failed.ok().and_then(|failure| failure.clone());
        match failure {
            Some(failure) => failure,
            // The sender is our own.
            None => std::future::pending().await,
        }
    }

    /// The first task that failed, if one has.
    pub(crate) fn failure(&self) -> Option<TaskFailure> {
        self.failure.borrow().clone()
    }
}

impl TaskHandle {
    /// Tells the task to end, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.ended.await {
            tracing::error!(%error, "the supervisor of a task failed");
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

    fn failed_checks(supervisor: &Supervisor) -> Vec<&'static str> {
        let report = supervisor.health().borrow().clone();
        let failed = report.checks.iter().filter(|check| check.failed);
        failed.map(|check| check.name).collect()
    }

    #[tokio::test]
    async fn a_task_that_ends_in_any_way_is_named_with_its_cause() {
        for (how, cause) in [
            ("return", "it ended on its own"),
            ("error", "cannot go on: no more"),
            ("panic", "it panicked: injected 7"),
        ] {
            let supervisor = Supervisor::new();
            let _good = supervisor.spawn("good", |stop| async move {
                stop.cancelled().await;
                Ok(())
            });
            let _bad = supervisor.spawn("bad", |_| async move {
                match how {
                    "return" => Ok(()),
                    "error" => Err(anyhow::anyhow!("no more").context("cannot go on")),
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
    async fn a_task_that_was_told_to_end_has_not_failed() {
        let supervisor = Supervisor::new();
        let task = supervisor.spawn("good", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        task.stop().await;
        assert_eq!(supervisor.failure(), None);
        assert!(failed_checks(&supervisor).is_empty());
    }

    #[tokio::test]
    async fn a_task_that_fails_while_it_ends_has_failed() {
        let supervisor = Supervisor::new();
        let task = supervisor.spawn("bad", |stop| async move {
            stop.cancelled().await;
            bail!("the last write was lost")
        });
        task.stop().await;
        let failure = supervisor.failure().unwrap();
        assert_eq!(failure.to_string(), "bad failed: the last write was lost");
    }
}
