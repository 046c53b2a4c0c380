//! Faults that tests inject into the tasks of the daemon. Not in release builds.

use std::future::Future;

use anyhow::Result;
use rdd_gateway::HealthReport;
use tokio::sync::watch;

/// The variable with the fault: `TASK=panic` or `TASK=end` applies to this task
/// once the daemon is ready.
#[cfg(debug_assertions)]
const VARIABLE: &str = "RDD_INJECT_FAULT";

/// Runs `task`, unless a test requests a fault.
#[cfg(debug_assertions)]
pub(super) async fn inject(
    name: &'static str,
    mut health: watch::Receiver<HealthReport>,
    task: impl Future<Output = Result<()>>,
) -> Result<()> {
    let variable = std::env::var(VARIABLE).unwrap_or_default();
    let Some((_, fault)) = variable.split_once('=').filter(|(task, _)| *task == name) else {
        return task.await;
    };
    let ready = |report: &HealthReport| report.phase == rdd_gateway::DaemonPhase::Ready;
    tokio::select! {
        result = task => result,
        _ = health.wait_for(ready) => {
            #[allow(clippy::panic, reason = "the injected fault")]
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
