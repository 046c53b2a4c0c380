//! `rdd serve`: wires the rooms together, says when they are ready, and ends
//! them in order.

mod admission;
pub(crate) mod announce;
mod banner;
mod cluster;
mod config_map;
mod daemon;
mod descriptors;
mod fault;
mod listen;
mod metrics;
pub(crate) mod plugin_reports;
mod review;
mod signals;
mod supervisor;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rdd_gateway::DaemonPhase;

use crate::cli::ServeArgs;
use crate::state_dir::StateDir;
use crate::telemetry;
use daemon::Daemon;

/// How long requests under way may go on once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(3);
/// A service manager kills after ten seconds by habit: what is not done by
/// then is told, and left.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(9);

/// Runs the daemon until it is told to end, or until a part of it fails.
pub(crate) async fn run(state_dir: StateDir, args: ServeArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let progress_line = telemetry::start(&args.log, args.log_format)?;
    // Signals are caught from here on, so that none that comes early is lost.
    let stop = signals::stop_token()?;
    let mut lock = tokio::select! {
        lock = state_dir.lock() => lock?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    remove_kubeconfig(&state_dir)?;
    let mut daemon = tokio::select! {
        daemon = Daemon::start(state_dir.clone(), args, progress_line, Timestamp::now()) => daemon?,
        () = stop.cancelled() => {
            // What was begun goes with the process, and the lock with it.
            lock.keep();
            return Ok(ExitCode::SUCCESS);
        }
    };

    let supervisor = daemon.supervisor.clone();
    let outcome = tokio::select! {
        failure = supervisor.failed() => Err(failure.into()),
        result = daemon.run(started) => result,
        () = stop.cancelled() => Ok(()),
    };
    supervisor.enter(DaemonPhase::Stopping);
    if let Err(error) = lock.mark_stopping() {
        tracing::warn!(%error, "a daemon that is started now will not wait for this one");
    }
    notify_service_manager(sd_notify::NotifyState::Stopping);
    match tokio::time::timeout(SHUTDOWN_LIMIT, daemon.shutdown()).await {
        Ok(result) => outcome.and(result)?,
        Err(_) => anyhow::bail!(
            "the shutdown took over {} s and was cut short; nothing that was acknowledged is lost",
            SHUTDOWN_LIMIT.as_secs()
        ),
    }
    match supervisor.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The kubeconfig is there only while the daemon is ready.
fn remove_kubeconfig(state_dir: &StateDir) -> Result<()> {
    let path = state_dir.kubeconfig();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Tells systemd and its like; does nothing where there is none.
fn notify_service_manager(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told what the daemon does");
    }
}
