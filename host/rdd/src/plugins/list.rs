//! `rdd plugin list`, and the validation of `--backend`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rdd_plugin::{PluginDirs, PluginHost, PluginReport};
use serde::Serialize;

use crate::output::{self, CommandReport, OutputArgs};
use crate::plugin_dirs::PluginDirArgs;
use crate::state_dir::{StateDir, read_published};

/// The output of `rdd plugin list`.
#[derive(Serialize)]
struct PluginListReport {
    plugins: Vec<PluginReport>,
}

impl CommandReport for PluginListReport {
    fn text(&self) -> String {
        if self.plugins.is_empty() {
            return "no engine backend is installed; 'rdd plugin install' installs one, and 'make build' puts the moby backend beside the program\n".to_owned();
        }
        let header = ["NAME", "VERSION", "STATE", "PATH"].map(str::to_owned);
        let rows = self.plugins.iter().map(|plugin| {
            [
                plugin.name.clone(),
                plugin.version.clone().unwrap_or_default(),
                plugin.state.to_string(),
                plugin.path.display().to_string(),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let mut text = output::format_table(&rows);
        for plugin in self
            .plugins
            .iter()
            .filter(|plugin| !plugin.reason.is_empty())
        {
            text.push_str(&format!("{}: {}\n", plugin.name, plugin.reason));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.plugins
            .iter()
            .map(|plugin| plugin.name.clone())
            .collect()
    }
}

/// Discovers and loads the installed backends like a daemon, then unloads them.
async fn load_once(state_dir: &StateDir, dirs: PluginDirs) -> Result<Vec<PluginReport>> {
    // Loading a backend does not connect to the engine, so any address works.
    let endpoint = rdd_plugin::EngineEndpoint::parse("unix:///var/run/docker.sock")?;
    let mut options = rdd_plugin::PluginHostOptions::new(dirs, state_dir.plugin_cache(), endpoint);
    options.poll_interval = None;
    if !state_dir.root().exists() {
        options.cache_dir = None;
    }
    let host = PluginHost::start(options).await?;
    host.wait_until_loaded().await;
    let reports = host.reports();
    host.shutdown().await;
    Ok(reports)
}

/// Lists the backends: those of the running daemon, or else those on disk.
pub(crate) async fn list(
    state_dir: &StateDir,
    dirs: PluginDirArgs,
    output: OutputArgs,
) -> Result<ExitCode> {
    let plugins = if state_dir.kubeconfig().exists() && state_dir.is_locked() && dirs.is_empty() {
        read_reports(state_dir)?
    } else {
        load_once(state_dir, dirs.into_dirs()).await?
    };
    output.print(&PluginListReport { plugins })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the reports of the running daemon of a state directory.
fn read_reports(state_dir: &StateDir) -> Result<Vec<PluginReport>> {
    read_published(&state_dir.plugin_reports()).context("cannot read the state of the backends")
}

/// Rejects a backend that is not installed before it is selected in the App. A
/// backend that is installed but unusable is reported by the App's conditions.
pub(crate) fn check_backend(host: &PluginHost, dirs: &PluginDirs, name: &str) -> Result<()> {
    let mut installed: Vec<_> = host
        .reports()
        .into_iter()
        .map(|report| report.name)
        .collect();
    if installed.iter().any(|known| known == name) {
        return Ok(());
    }
    installed.dedup();
    let known = if installed.is_empty() {
        "none is installed".to_owned()
    } else {
        format!("installed: {}", installed.join(", "))
    };
    let dirs: Vec<_> = dirs
        .search
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    bail!(
        "no backend named {name:?} is installed ({known}; looked in {}); select another with --backend, or install it with 'rdd plugin install'",
        dirs.join(" and ")
    )
}
