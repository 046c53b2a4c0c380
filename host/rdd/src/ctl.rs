//! `rdd ctl`: kubectl with this instance's kubeconfig.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::client;
use crate::state_dir::StateDir;

/// The variable with the kubectl to run.
const KUBECTL: &str = "RDD_KUBECTL";

/// Replaces this process by the kubectl on `PATH`, or the one in `RDD_KUBECTL`,
/// so that exit code, signals, and terminal are those of kubectl. Returns only
/// if that fails.
pub(crate) fn run(state_dir: &StateDir, args: &[OsString]) -> Result<Infallible> {
    let kubeconfig = state_dir.kubeconfig();
    if !kubeconfig.exists() {
        bail!("{}", client::not_ready_message(state_dir));
    }
    let kubectl = std::env::var_os(KUBECTL)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| "kubectl".into());
    let error = Command::new(&kubectl)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .exec();
    Err(error).with_context(|| {
        format!(
            "cannot run {kubectl:?}; install kubectl 1.30 or newer, or set {KUBECTL} to another one"
        )
    })
}
