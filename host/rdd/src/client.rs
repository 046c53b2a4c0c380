//! How the commands other than `serve` reach the daemon.

use anyhow::{Context as _, Result, bail};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::state_dir::StateDir;

/// The configuration of the instance's own API: its kubeconfig, which is there
/// only while the daemon is ready.
pub(crate) async fn config(state_dir: &StateDir) -> Result<Config> {
    let path = state_dir.kubeconfig();
    if !path.exists() {
        bail!(
            "no daemon is ready on {}; start one with 'rdd serve'",
            state_dir.root().display()
        );
    }
    let kubeconfig =
        Kubeconfig::read_from(&path).with_context(|| format!("cannot use {}", path.display()))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use {}", path.display()))
}

/// A client of the instance's API.
pub(crate) async fn connect(state_dir: &StateDir) -> Result<kube::Client> {
    Ok(kube::Client::try_from(config(state_dir).await?)?)
}
