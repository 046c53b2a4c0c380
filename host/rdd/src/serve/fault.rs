//! Faults that tests inject into the daemon's tasks. Not in release builds.

use std::future::Future;

use anyhow::Result;
use rdd_gateway::HealthReport;
use tokio::sync::watch;

/// `TASK=panic` or `TASK=end`: what happens to this task once the daemon is ready.
#[cfg(debug_assertions)]
const VARIABLE: &str = "RDD_INJECT_FAULT";

/// Runs `task`, unless a test wants it to fail.
#[cfg(debug_assertions)]
pub(super) async fn inject(
    name: &'static str,
    mut health: watch::Receiver<HealthReport>,
    task: impl Future<Output = Result<()>>,
) -> Result<()> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let Some((_, fault)) = wanted.split_once('=').filter(|(task, _)| *task == name) else {
        return task.await;
    };
    let ready = |report: &HealthReport| report.phase == rdd_gateway::DaemonPhase::Ready;
    tokio::select! {
        result = task => result,
        _ = health.wait_for(ready) => {
            #[allow(clippy::panic, reason = "this is the fault")]
            if fault == "panic" {
                panic!("injected");
            }
            Ok(())
        }
    }
}

/// Runs `task`.
#[cfg(not(debug_assertions))]
pub(super) async fn inject(
    _: &'static str,
    _: watch::Receiver<HealthReport>,
    task: impl Future<Output = Result<()>>,
) -> Result<()> {
    task.await
}
