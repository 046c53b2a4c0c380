//! Detects without a race whether work runs on the caller's thread or on a
//! blocking thread: the only blocking thread is busy while the caller polls.

use std::future::Future;
use std::sync::mpsc;
use std::task::Poll;

use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

/// Runs `test` on a runtime with one thread for tasks and one for blocking work.
///
/// # Panics
///
/// Panics if the runtime cannot be built, or if `test` panics.
#[expect(
    clippy::expect_used,
    reason = "a test helper fails its test by panicking"
)]
pub fn with_one_blocking_thread<F: Future>(test: F) -> F::Output {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .expect("cannot build a runtime")
        .block_on(test)
}

/// Runs `future` to completion. Returns its output, and whether it completed with
/// its first poll, while the blocking thread of [`with_one_blocking_thread`] was
/// busy.
///
/// # Panics
///
/// Panics if the blocking thread did.
#[expect(
    clippy::expect_used,
    reason = "a test helper fails its test by panicking"
)]
pub async fn is_ready_without_blocking<F: Future>(future: F) -> (bool, F::Output) {
    let (release, released) = mpsc::channel::<()>();
    // Blocking work that is spawned later queues behind this.
    let busy = spawn_blocking(move || released.recv().is_err());
    let mut future = std::pin::pin!(future);
    let first = futures::poll!(future.as_mut());
    drop(release);
    busy.await.expect("the blocking thread panicked");
    match first {
        Poll::Ready(output) => (true, output),
        Poll::Pending => (false, future.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_work_is_never_ready_at_the_first_poll() {
        with_one_blocking_thread(async {
            for round in 0..100 {
                let blocking = async move { spawn_blocking(move || round).await.unwrap_or(0) };
                assert_eq!(is_ready_without_blocking(blocking).await, (false, round));
            }
            assert_eq!(is_ready_without_blocking(async { 7 }).await, (true, 7));
        });
    }
}
