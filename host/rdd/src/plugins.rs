//! Where backends are looked for, and `rdd plugin list`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use rdd_plugin::PluginReport;

use crate::client;
use crate::serve::plugin_reports;
use crate::state_dir::StateDir;

/// The directories that were named; else the one beside the program, then the
/// user's own, `$XDG_DATA_HOME/rdd/plugins`.
pub(crate) fn dirs(named: Vec<PathBuf>) -> Vec<PathBuf> {
    if !named.is_empty() {
        return named;
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join("plugins")));
    let data = std::env::var_os("XDG_DATA_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    beside
        .into_iter()
        .chain(data.map(|data| data.join("rdd/plugins")))
        .collect()
}

/// Finds and loads what there is, as a daemon would, and lets it go again.
async fn load_once(state_dir: &StateDir, dirs: Vec<PathBuf>) -> Result<Vec<PluginReport>> {
    // No engine is called while a backend is loaded, so any address does.
    let endpoint = rdd_plugin::EngineEndpoint::parse("unix:///var/run/docker.sock")?;
    let mut options = rdd_plugin::Options::new(dirs, state_dir.plugin_cache(), endpoint);
    if !state_dir.root().exists() {
        options.cache_dir = None;
    }
    let host = rdd_plugin::PluginHost::start(options).await?;
    host.loaded().await;
    let reports = host.reports();
    host.shutdown().await;
    Ok(reports)
}

/// Lists the backends: as the running daemon sees them, else as they lie on disk.
pub(crate) async fn list(state_dir: &StateDir, named: Vec<PathBuf>) -> Result<ExitCode> {
    let reports = if state_dir.kubeconfig().exists() && named.is_empty() {
        plugin_reports::read(client::connect(state_dir).await?).await?
    } else {
        load_once(state_dir, dirs(named)).await?
    };
    let mut out = std::io::stdout().lock();
    if reports.is_empty() {
        writeln!(
            out,
            "no engine backend is installed; 'make build' puts the moby backend beside the program"
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = reports
        .iter()
        .map(|report| report.name.len())
        .max()
        .unwrap_or_default()
        .max("NAME".len());
    writeln!(
        out,
        "{:<width$}  {:<9}  {:<12}  PATH",
        "NAME", "VERSION", "STATE"
    )?;
    for PluginReport {
        name,
        version,
        state,
        path,
        reason,
        ..
    } in reports
    {
        let version = version.unwrap_or_default();
        let state = state.to_string();
        writeln!(
            out,
            "{name:<width$}  {version:<9}  {state:<12}  {}",
            path.display()
        )?;
        if !reason.is_empty() {
            writeln!(out, "{:<width$}  {reason}", "")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
