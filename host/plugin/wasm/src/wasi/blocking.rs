//! The time limit for calls that block a store.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Sleep;

/// Whether a store has called WASI since its event loop last ran. While a call of
/// WASI waits, nothing else in the store runs, not even the host's own timers for
/// it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockingWatch(Arc<AtomicBool>);

impl BlockingWatch {
    /// Records that a call of WASI begins.
    pub(crate) fn enter(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Records that the event loop of the store runs.
    pub(crate) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn may_block(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs the event loop of a store. Returns `None` if the store calls WASI and does
/// not return to the event loop for `limit`.
pub(crate) async fn limit_blocking<F: Future>(
    event_loop: F,
    watch: &BlockingWatch,
    limit: Duration,
) -> Option<F::Output> {
    let mut event_loop = pin!(event_loop);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = event_loop.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if !watch.may_block() {
            timer = None;
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_store_that_blocks_is_ended() {
        let watch = BlockingWatch::default();
        let blocked = async {
            watch.enter();
            tokio::time::sleep(10 * LIMIT).await;
        };
        let start = tokio::time::Instant::now();
        assert_eq!(limit_blocking(blocked, &watch, LIMIT).await, None);
        assert_eq!(start.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_returns_to_its_event_loop_is_not_ended() {
        let watch = BlockingWatch::default();
        let idle = async {
            for _ in 0..10 {
                watch.enter();
                tokio::time::sleep(LIMIT / 2).await;
                watch.reset();
                tokio::time::sleep(10 * LIMIT).await;
            }
        };
        assert_eq!(limit_blocking(idle, &watch, LIMIT).await, Some(()));
    }
}
