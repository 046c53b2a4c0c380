//! The watch of an engine: kept open, opened again when it is lost, renewed
//! now and then.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use rdd_core::{ContainerEngine, EngineError, ErrorCode, WatchEvent};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::options::MirrorTiming;

/// Events that may wait for the controller. A full channel slows the backend
/// down, which renews its listing when it had to drop something.
const BACKLOG: usize = 1024;

/// What the feed says.
#[derive(Debug)]
pub(crate) enum Feed {
    Event(WatchEvent),
    /// The stream was ended on purpose; a new listing follows.
    Renewing,
    /// The engine is lost; the feed goes on trying.
    Lost(EngineError),
}

/// Runs until the receiver is dropped. `renew` asks for a new listing.
pub(crate) async fn run(
    engine: Arc<dyn ContainerEngine>,
    timing: MirrorTiming,
    renew: Arc<Notify>,
    sender: mpsc::Sender<Feed>,
) {
    let retries = ExponentialBuilder::new()
        .with_min_delay(timing.reconnect_min)
        .with_max_delay(timing.reconnect_max)
        .with_jitter()
        .without_max_times();
    let mut delays = retries.build();
    // A renewal that does not succeed at once is no loss yet.
    let mut patience: Option<Instant> = None;
    loop {
        let error = match engine.watch().await {
            Ok(mut events) => {
                // `None` during a listing: one that is slower than the interval
                // would never end if a renewal cut it short, and a renewal that
                // was asked for meanwhile waits for its end.
                let mut renew_at: Option<Instant> = None;
                loop {
                    let event = tokio::select! {
                        event = events.next() => event,
                        () = due(renew_at) => break None,
                        () = renew.notified(), if renew_at.is_some() => break None,
                        () = sender.closed() => return,
                    };
                    match event {
                        Some(Ok(event)) => {
                            match event {
                                WatchEvent::InitBegin => renew_at = None,
                                WatchEvent::InitDone => {
                                    renew_at =
                                        Some(Instant::now() + jittered(timing.resync_interval));
                                    delays = retries.build();
                                    patience = None;
                                }
                                WatchEvent::Applied(_) | WatchEvent::Removed(_) => {}
                            }
                            if sender.send(Feed::Event(event)).await.is_err() {
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
            patience = Some(Instant::now() + timing.reconnect_max);
            if sender.send(Feed::Renewing).await.is_err() {
                return;
            }
            continue;
        };
        if patience.is_none_or(|until| Instant::now() > until)
            && sender.send(Feed::Lost(error)).await.is_err()
        {
            return;
        }
        let delay = delays.next().unwrap_or(timing.reconnect_max);
        tokio::select! {
            () = sleep(delay) => {}
            () = sender.closed() => return,
        }
    }
}

/// Waits for the instant; for ever when there is none.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The channel of a feed.
pub(crate) fn channel() -> (mpsc::Sender<Feed>, mpsc::Receiver<Feed>) {
    mpsc::channel(BACKLOG)
}

/// Up to a tenth more or less, so that daemons that started together do not
/// stay together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f32(0.9 + 0.2 * fastrand::f32())
}

#[cfg(test)]
mod tests;
