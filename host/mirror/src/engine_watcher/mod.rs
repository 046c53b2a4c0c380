//! Watches the engine: reconnects with back-off when the watch fails, and
//! relists periodically (resync).

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use rdd_core::{ContainerEngine, EngineError, ErrorCode, WatchEvent};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::engine_event::EngineEvent;
use crate::metrics::MirrorMetrics;
use crate::options::MirrorTiming;

/// Capacity of the channel to the controller, in events. A full channel slows
/// the backend down, which lists again if it had to drop events.
const CHANNEL_CAPACITY: usize = 1024;

/// Watches the engine until the receiver is dropped. A notification of `relist`
/// requests a new listing.
pub(crate) async fn run(
    engine: Arc<dyn ContainerEngine>,
    timing: MirrorTiming,
    relist: Arc<Notify>,
    sender: mpsc::Sender<EngineEvent>,
) {
    let retries = ExponentialBuilder::new()
        .with_min_delay(timing.reconnect_delay_min)
        .with_max_delay(timing.reconnect_delay_max)
        .with_jitter()
        .without_max_times();
    let mut delays = retries.build();
    // Until then, a failure to reopen the watch for a new listing is not
    // reported.
    let mut grace_until: Option<Instant> = None;
    loop {
        let error = match engine.watch().await {
            Ok(mut events) => {
                // `None` during a listing: a listing that takes longer than the
                // interval would never end if it were interrupted. A listing
                // that is requested in the meantime starts afterwards.
                let mut relist_at: Option<Instant> = None;
                loop {
                    let event = tokio::select! {
                        event = events.next() => event,
                        () = sleep_until_some(relist_at) => break None,
                        () = relist.notified(), if relist_at.is_some() => break None,
                        () = sender.closed() => return,
                    };
                    match event {
                        Some(Ok(event)) => {
                            match event {
                                WatchEvent::InitBegin => relist_at = None,
                                WatchEvent::InitDone => {
                                    relist_at =
                                        Some(Instant::now() + jittered(timing.resync_interval));
                                    delays = retries.build();
                                    grace_until = None;
                                }
                                WatchEvent::Applied(_) | WatchEvent::Removed(_) => {}
                            }
                            if sender.send(EngineEvent::Watch(event)).await.is_err() {
                                return;
                            }
                        }
                        Some(Err(error)) => break Some(error),
                        None => {
                            break Some(EngineError::new(
                                ErrorCode::Unavailable,
                                "the engine ended its event stream",
                            ));
                        }
                    }
                }
            }
            Err(error) => Some(error),
        };
        let Some(error) = error else {
            grace_until = Some(Instant::now() + timing.reconnect_delay_max);
            if sender.send(EngineEvent::Relisting).await.is_err() {
                return;
            }
            continue;
        };
        if grace_until.is_none_or(|until| Instant::now() > until)
            && sender.send(EngineEvent::Disconnected(error)).await.is_err()
        {
            return;
        }
        let delay = delays.next().unwrap_or(timing.reconnect_delay_max);
        tokio::select! {
            () = sleep(delay) => {}
            () = sender.closed() => return,
        }
    }
}

/// Waits until the instant, or forever if there is none.
async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Creates the channel from the watcher to the controller, whose length `metrics`
/// has from then on.
pub(crate) fn channel(
    metrics: &MirrorMetrics,
) -> (mpsc::Sender<EngineEvent>, mpsc::Receiver<EngineEvent>) {
    let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    metrics.set_events(sender.downgrade());
    (sender, receiver)
}

/// Returns the interval with ±10 % of jitter, so that daemons that started at
/// the same time do not resync at the same time.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f32(0.9 + 0.2 * fastrand::f32())
}

#[cfg(test)]
mod tests;
