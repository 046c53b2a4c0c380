//! The handlers of SIGTERM and SIGINT.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code for a signal is this plus its number, as in shells and service
/// managers.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Returns a token that is cancelled by the first signal. A second signal exits
/// at once, without `kill -9`: acknowledged writes are on disk.
pub(crate) fn shutdown_token() -> Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    // The task runs until the process exits.
    tokio::spawn(async move {
        loop {
            let kind = tokio::select! {
                _ = terminate.recv() => SignalKind::terminate(),
                _ = interrupt.recv() => SignalKind::interrupt(),
            };
            if token.is_cancelled() {
                tracing::warn!("second signal received; exiting at once");
                std::process::exit(SIGNAL_EXIT_BASE + kind.as_raw_value());
            }
            tracing::info!("shutting down; a second signal exits at once");
            token.cancel();
        }
    });
    Ok(shutdown)
}
