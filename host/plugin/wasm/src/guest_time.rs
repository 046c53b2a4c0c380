//! The time that guests run.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use rdd_plugin_contract::{BackendMetrics, BusyError, BusyWatchdog, ProgressCounter};

/// Runs the event loop of a store, and counts the time in it as time of the guest:
/// apart from the guest, it runs only the imports that the guest calls and the
/// conversion of what the guest sends.
///
/// # Errors
///
/// Fails if the guest is busy for a whole `window` without progress.
pub(crate) async fn meter_guest_time<F: Future>(
    event_loop: F,
    metrics: &BackendMetrics,
    progress: &ProgressCounter,
    window: Duration,
) -> Result<F::Output, BusyError> {
    let mut event_loop = pin!(event_loop);
    let mut watchdog = BusyWatchdog::new(window, Instant::now());
    std::future::poll_fn(|cx| {
        let entered_at = Instant::now();
        let polled = event_loop.as_mut().poll(cx);
        let left_at = Instant::now();
        let ran = left_at - entered_at;
        metrics.record_guest_time(ran);
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        match watchdog.record_run(ran, left_at, progress) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    })
    .await
}
