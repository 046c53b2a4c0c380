//! The tasks of the supervisors. One may end, when its plugin is refused or
//! parked; none may panic unseen: nobody would start its plugin again.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Runs supervisors, and tells of the first one that panicked.
#[derive(Debug, Default)]
pub(crate) struct SupervisorTasks {
    running: TaskTracker,
    failure: watch::Sender<Option<String>>,
}

impl SupervisorTasks {
    /// Runs the supervisor of this backend.
    pub(crate) fn spawn(
        &self,
        backend: &str,
        supervisor: impl Future<Output = ()> + Send + 'static,
    ) {
        let (backend, failure) = (backend.to_owned(), self.failure.clone());
        self.running.spawn(async move {
            let Err(panic) = AssertUnwindSafe(supervisor).catch_unwind().await else {
                return;
            };
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned());
            tracing::error!(
                backend,
                panic = message,
                "the supervisor of a backend panicked; report this"
            );
            failure.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert_with(|| {
                    format!("the supervisor of the backend {backend} panicked: {message}")
                });
                is_first
            });
        });
    }

    /// Returns when a supervisor has panicked, and says which.
    pub(crate) async fn failed(&self) -> String {
        let mut failures = self.failure.subscribe();
        let failed = failures.wait_for(Option::is_some).await;
        match failed.ok().and_then(|failure| failure.clone()) {
            Some(failure) => failure,
            // The sender is our own.
            None => std::future::pending().await,
        }
    }

    /// Waits until all have ended. They were told to.
    pub(crate) async fn ended(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_that_panics_is_told_with_its_message() {
        let tasks = SupervisorTasks::default();
        tasks.spawn("calm", async {});
        tasks.spawn("broken", async { panic!("injected {}", 7) });
        let told = tasks.failed().await;
        assert_eq!(
            told,
            "the supervisor of the backend broken panicked: injected 7"
        );
        tasks.spawn("later", async { panic!("injected") });
        tasks.ended().await;
        assert_eq!(tasks.failed().await, told);
    }

    #[tokio::test]
    async fn one_that_ends_has_not_failed() {
        let tasks = SupervisorTasks::default();
        tasks.spawn("parked", async {});
        tasks.ended().await;
        assert!(tasks.failed().now_or_never().is_none());
    }
}
