//! Work that keeps a processor busy, kept off the threads that serve all requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long work may take on a thread that serves all requests.
const MAX_INLINE_TIME: Duration = Duration::from_millis(1);

/// Runs `work` of a controller on a blocking thread.
///
/// # Panics
/// If `work` does.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // The caller panics as it would have on its own thread.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs work that is usually short. If it took long the last time, other tasks do not
/// wait for it: they move to another thread.
#[derive(Debug, Default)]
pub(crate) struct WorkPace {
    is_slow: AtomicBool,
}

impl WorkPace {
    /// Runs `work` on this thread. A runtime with one thread has no other one for
    /// other tasks.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let timed = || {
            let started_at = Instant::now();
            let result = work();
            let is_slow = started_at.elapsed() > MAX_INLINE_TIME;
            self.is_slow.store(is_slow, Ordering::Relaxed);
            result
        };
        let is_slow = self.is_slow.load(Ordering::Relaxed);
        match is_slow && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
            true => tokio::task::block_in_place(timed),
            false => timed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_took_long_lets_other_tasks_run() {
        // In a task, since that is what runs on the only worker.
        let work = tokio::spawn(async {
            let pace = WorkPace::default();
            pace.run(|| std::thread::sleep(MAX_INLINE_TIME * 2));
            let (sender, receiver) = mpsc::channel();
            tokio::spawn(async move { sender.send(()) });
            pace.run(|| receiver.recv_timeout(Duration::from_secs(10)))
        });
        work.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_runtime_with_one_thread_runs_slow_work_too() {
        let pace = WorkPace::default();
        for _ in 0..2 {
            pace.run(|| std::thread::sleep(MAX_INLINE_TIME * 2));
        }
        assert!(pace.is_slow.load(Ordering::Relaxed));
        for _ in 0..1000 {
            // A busy machine may hold up what is short.
            if pace.is_slow.load(Ordering::Relaxed) {
                pace.run(|| {});
            }
        }
        assert!(!pace.is_slow.load(Ordering::Relaxed), "it was short again");
    }
}
