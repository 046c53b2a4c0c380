//! `rdd status` and `rdd version`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use kube::api::Api;
use rdd_api::App;

use crate::client;
use crate::serve::announce;
use crate::state_dir::StateDir;

/// Exit code of `rdd status` when no daemon is ready, as service managers have it.
const NOT_RUNNING: u8 = 3;

/// Says whether the daemon runs and what it serves.
pub(crate) async fn run(state_dir: &StateDir) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if !state_dir.kubeconfig().exists() {
        writeln!(
            out,
            "not running: no daemon is ready on {}; start one with 'rdd serve'",
            state_dir.root().display()
        )?;
        return Ok(ExitCode::from(NOT_RUNNING));
    }
    let api = client::connect(state_dir).await?;
    let discovery = match announce::read(api.clone()).await {
        Ok(discovery) => discovery,
        Err(error) => {
            writeln!(
                out,
                "not running: no daemon answers for {}; it may have been killed: start it again with 'rdd serve' ({error:#})",
                state_dir.root().display()
            )?;
            return Ok(ExitCode::from(NOT_RUNNING));
        }
    };
    let app = Api::<App>::all(api)
        .get(rdd_api::APP_NAME)
        .await
        .context("cannot read the App")?;
    writeln!(out, "running since  {}", discovery.start_time)?;
    writeln!(out, "kubeconfig     {}", state_dir.kubeconfig().display())?;
    writeln!(out, "logs           {}", discovery.passthrough_endpoint)?;
    writeln!(out, "backend        {}", app.spec.container_engine.name)?;
    for condition in app
        .status
        .map(|status| status.conditions)
        .unwrap_or_default()
    {
        let message = if condition.message.is_empty() {
            String::new()
        } else {
            format!(": {}", condition.message)
        };
        writeln!(
            out,
            "{:<22} {:<7} {}{message}",
            condition.type_, condition.status, condition.reason
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the version and what was built in.
pub(crate) fn version() -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "rdd {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "engine interface  {}", rdd_plugin::INTERFACE)?;
    writeln!(out, "Kubernetes API    {}", rdd_apiserver::VERSION)?;
    writeln!(
        out,
        "platform          {}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS
    )?;
    Ok(ExitCode::SUCCESS)
}
