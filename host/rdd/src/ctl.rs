//! `rdd ctl`: kubectl with this instance's kubeconfig.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::client;
use crate::state_dir::StateDir;

/// Variable that names the kubectl to run.
const KUBECTL: &str = "RDD_KUBECTL";

/// Becomes the kubectl on `PATH`, or the one that `RDD_KUBECTL` names: its exit
/// code, its signals and its terminal are kubectl's own. Returns only when that
/// fails.
pub(crate) fn run(state_dir: &StateDir, args: &[OsString]) -> Result<Infallible> {
    let kubeconfig = state_dir.kubeconfig();
    if !kubeconfig.exists() {
        bail!("{}", client::not_ready(state_dir));
    }
    let kubectl = std::env::var_os(KUBECTL)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| "kubectl".into());
    let error = Command::new(&kubectl)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .exec();
    Err(error).with_context(|| {
        format!("cannot run {kubectl:?}; install kubectl 1.30 or newer, or name one with {KUBECTL}")
    })
}
