//! SIGTERM and SIGINT.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What shells and service managers add to the number of a signal that ended
/// a process.
const SIGNAL_EXIT: i32 = 128;

/// A token that the first signal cancels. The second one ends the process at
/// once: what was acknowledged is on disk, and nobody should need `kill -9`.
pub(crate) fn stop_token() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    // It ends with the process.
    tokio::spawn(async move {
        loop {
            let kind = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            };
            if stopping.is_cancelled() {
                tracing::warn!("ending at once: a second signal came");
                std::process::exit(SIGNAL_EXIT + kind.as_raw_value());
            }
            tracing::info!("stopping; a second signal ends the daemon at once");
            stopping.cancel();
        }
    });
    Ok(stop)
}
