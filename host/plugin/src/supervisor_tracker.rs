//! The tasks that run the supervisors.
//!
//! A supervisor may return, when its plugin is refused or has failed too often.
//! A panic must be reported, because nothing restarts that plugin afterward.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Runs supervisors and reports the first panic.
#[derive(Debug, Default)]
pub(crate) struct SupervisorTracker {
    tasks: TaskTracker,
    first_panic: watch::Sender<Option<String>>,
}

impl SupervisorTracker {
    /// Spawns the supervisor of the backend with this name.
    pub(crate) fn spawn(
        &self,
        backend: &str,
        supervisor: impl Future<Output = ()> + Send + 'static,
    ) {
        let (backend, first_panic) = (backend.to_owned(), self.first_panic.clone());
        self.tasks.spawn(async move {
            let Err(panic) = AssertUnwindSafe(supervisor).catch_unwind().await else {
                return;
            };
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            tracing::error!(
                backend,
                panic = message,
                "backend supervisor panicked; please report this"
            );
            first_panic.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert_with(|| {
                    format!("the supervisor of the backend {backend} panicked: {message}")
                });
                is_first
            });
        });
    }

    /// Waits for a supervisor to panic and returns a message that names it.
    pub(crate) async fn wait_for_panic(&self) -> String {
        let mut panics = self.first_panic.subscribe();
        let panicked = panics.wait_for(Option::is_some).await;
        match panicked.ok().and_then(|message| message.clone()) {
            Some(message) => message,
            // Unreachable while `self` holds the sender.
            None => std::future::pending().await,
        }
    }

    /// Waits until all supervisors have returned. The caller has signaled the
    /// shutdown.
    pub(crate) async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_panic_is_reported_with_its_message() {
        let tracker = SupervisorTracker::default();
        tracker.spawn("healthy", async {});
        tracker.spawn("broken", async { panic!("injected {}", 7) });
        let reported = tracker.wait_for_panic().await;
        assert_eq!(
            reported,
            "the supervisor of the backend broken panicked: injected 7"
        );
        tracker.spawn("later", async { panic!("injected") });
        tracker.wait().await;
        assert_eq!(tracker.wait_for_panic().await, reported);
    }

    #[tokio::test]
    async fn a_supervisor_that_returns_is_not_a_panic() {
        let tracker = SupervisorTracker::default();
        tracker.spawn("failed", async {});
        tracker.wait().await;
        assert!(tracker.wait_for_panic().now_or_never().is_none());
    }
}
