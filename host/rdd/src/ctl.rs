//! `rdd ctl`: kubectl with this instance's kubeconfig.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::state_dir::StateDir;

/// Runs the kubectl on PATH (or the one that `RDD_KUBECTL` names) and passes its exit code on.
pub(crate) fn run(state_dir: &StateDir, args: &[String]) -> Result<ExitCode> {
    let kubeconfig = state_dir.kubeconfig();
    if !kubeconfig.exists() {
        bail!(
            "no daemon is ready on {}; start one with 'rdd serve'",
            state_dir.root().display()
        );
    }
    let kubectl = std::env::var("RDD_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let status = Command::new(&kubectl)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .status()
        .with_context(|| format!("cannot run {kubectl:?}; install kubectl 1.30 or newer, or name one with RDD_KUBECTL"))?;
    // A process that a signal ended has no code; shells say 128 and more.
    let code = status.code().unwrap_or(130);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
