//! `rdd plugin list`, and the check of the backend that was asked for.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rdd_plugin::{PluginHost, PluginReport};
use serde::Serialize;

use crate::output::{self, OutputArgs, Report};
use crate::plugin_dirs::PluginDirs;
use crate::serve::plugin_reports;
use crate::state_dir::StateDir;

/// What `rdd plugin list` prints.
#[derive(Serialize)]
struct PluginList {
    plugins: Vec<PluginReport>,
}

impl Report for PluginList {
    fn text(&self) -> String {
        if self.plugins.is_empty() {
            return "no engine backend is installed; 'make build' puts the moby backend beside the program\n".to_owned();
        }
        let rows: Vec<_> = self
            .plugins
            .iter()
            .map(|plugin| {
                [
                    plugin.name.clone(),
                    plugin.version.clone().unwrap_or_default(),
                    plugin.state.to_string(),
                    plugin.path.display().to_string(),
                ]
            })
            .collect();
        let mut text = output::table(["NAME", "VERSION", "STATE", "PATH"], &rows);
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

/// Finds and loads what there is, as a daemon would, and lets it go again.
async fn load_once(state_dir: &StateDir, dirs: Vec<PathBuf>) -> Result<Vec<PluginReport>> {
    // No engine is called while a backend is loaded, so any address does.
    let endpoint = rdd_plugin::EngineEndpoint::parse("unix:///var/run/docker.sock")?;
    let mut options = rdd_plugin::PluginHostOptions::new(dirs, state_dir.plugin_cache(), endpoint);
    if !state_dir.root().exists() {
        options.cache_dir = None;
    }
    let host = PluginHost::start(options).await?;
    host.wait_until_loaded().await;
    let reports = host.reports();
    host.shutdown().await;
    Ok(reports)
}

/// Lists the backends: as the running daemon sees them, else as they lie on disk.
pub(crate) async fn list(
    state_dir: &StateDir,
    dirs: PluginDirs,
    output: OutputArgs,
) -> Result<ExitCode> {
    let plugins = if state_dir.kubeconfig().exists() && state_dir.is_locked() && dirs.is_empty() {
        plugin_reports::read(state_dir)?
    } else {
        load_once(state_dir, dirs.or_default()).await?
    };
    output.print(&PluginList { plugins })?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses the name of a backend that is not installed, before it becomes the
/// App's choice. One that is there and cannot be used is the App's to tell.
pub(crate) fn check_backend(host: &PluginHost, dirs: &[PathBuf], name: &str) -> Result<()> {
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
        "none is".to_owned()
    } else {
        format!("installed: {}", installed.join(", "))
    };
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    bail!(
        "no backend of the name {name:?} is installed ({known}); name another with --backend, or put its directory into {}",
        dirs.join(" or ")
    )
}
