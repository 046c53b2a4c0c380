//! Signals that end `rdd exec` while the terminal is raw. Otherwise, their default
//! action ends it, and nothing has to be restored.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use futures::future::select_all;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code for a signal is this plus its number, as in shells.
const SIGNAL_EXIT_BASE: i32 = 128;

/// Waits for a signal that ends this process. Returns its exit code.
pub(super) async fn signal_received() -> Result<ExitCode> {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    let mut waiting = Vec::new();
    for kind in kinds {
        let mut signals = signal(kind).context("cannot catch signals")?;
        waiting.push(Box::pin(async move {
            signals.recv().await;
            kind
        }));
    }
    let (kind, ..) = select_all(waiting).await;
    let code = SIGNAL_EXIT_BASE + kind.as_raw_value();
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
