//! `rdd serve`: starts the parts of the daemon, announces when they are ready,
//! and shuts them down in order.

mod args;
mod daemon;
mod supervisor;

mod access_audit;
mod cluster;
mod embedded_authenticator;
mod issued_tokens;
mod token_roles;

mod console;
mod discovery;
mod label_selector;
mod listener;
mod plugin_reports;
mod signals;
mod web;

mod admission;
mod config_map;
mod descriptors;
mod fault_injection;
mod metrics;
mod token_review;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rdd_gateway::DaemonPhase;

pub(crate) use self::args::ServeArgs;
use crate::state_dir::StateDir;
use crate::telemetry;
use daemon::DaemonHandle;

/// How long requests in flight may continue after the shutdown begins.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
/// The limit of the whole shutdown. Service managers usually kill a process
/// after ten seconds; the daemon reports before that what is unfinished.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(9);

/// Runs the daemon until a signal arrives or a task fails.
pub(crate) async fn run(state_dir: StateDir, args: ServeArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let progress_line = telemetry::start(&args.log, args.log_format)?;
    // Install the signal handlers first, so that no early signal is lost.
    let shutdown = signals::shutdown_token()?;
    let mut lock = tokio::select! {
        lock = state_dir.lock() => lock?,
        () = shutdown.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    remove_kubeconfig(&state_dir)?;
    let mut daemon = tokio::select! {
        daemon = DaemonHandle::start(state_dir.clone(), args, progress_line, Timestamp::now()) => daemon?,
        () = shutdown.cancelled() => {
            // Unfinished work ends with the process, which also releases the lock.
            lock.hold_until_exit();
            return Ok(ExitCode::SUCCESS);
        }
    };

    let supervisor = daemon.supervisor.clone();
    let outcome = tokio::select! {
        error = supervisor.failed() => Err(error.into()),
        result = daemon.run(started) => result,
        () = shutdown.cancelled() => Ok(()),
    };
    supervisor.set_phase(DaemonPhase::Stopping);
    if let Err(error) = lock.mark_stopping() {
        tracing::warn!(%error, "cannot mark the lock; a daemon that starts now will not wait for this one");
    }
    notify_service_manager(sd_notify::NotifyState::Stopping);
    match tokio::time::timeout(SHUTDOWN_LIMIT, daemon.shutdown()).await {
        Ok(result) => outcome.and(result)?,
        Err(_) => anyhow::bail!(
            "the shutdown took over {} s and was aborted; no acknowledged write is lost",
            SHUTDOWN_LIMIT.as_secs()
        ),
    }
    match supervisor.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Removes the kubeconfig, which exists only while the daemon is ready.
fn remove_kubeconfig(state_dir: &StateDir) -> Result<()> {
    let path = state_dir.kubeconfig();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Notifies the service manager, such as systemd, if there is one.
fn notify_service_manager(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
