//! `rdd plugin verify`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rdd_plugin::VerifiedPlugin;
use serde::Serialize;

use super::args::VerifyArgs;
use crate::output::{self, CommandReport};

/// The output of the command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyReport {
    plugins: Vec<VerifyRow>,
}

/// One plugin.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyRow {
    name: String,
    version: Option<String>,
    path: String,
    /// `verified`, `disabled`, or `refused`.
    result: &'static str,
    sha256: Option<String>,
    problem: Option<String>,
}

impl From<VerifiedPlugin> for VerifyRow {
    fn from(plugin: VerifiedPlugin) -> Self {
        let VerifiedPlugin {
            name,
            path,
            version,
            digest,
            problem,
            is_disabled,
            ..
        } = plugin;
        Self {
            name,
            version,
            path: path.display().to_string(),
            result: match (is_disabled, &problem) {
                (true, _) => "disabled",
                (false, Some(_)) => "refused",
                (false, None) => "verified",
            },
            sha256: digest,
            problem,
        }
    }
}

impl CommandReport for VerifyReport {
    fn text(&self) -> String {
        if self.plugins.is_empty() {
            return "no plugin is installed\n".to_owned();
        }
        let header = ["NAME", "VERSION", "RESULT", "PATH"].map(str::to_owned);
        let rows = self.plugins.iter().map(|plugin| {
            [
                plugin.name.clone(),
                plugin.version.clone().unwrap_or_default(),
                plugin.result.to_owned(),
                plugin.path.clone(),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let mut text = output::format_table(&rows);
        for plugin in &self.plugins {
            if let Some(problem) = &plugin.problem {
                text.push_str(&format!("{}: {problem}\n", plugin.name));
            }
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

/// Verifies one plugin or all of them.
pub(super) async fn run(args: VerifyArgs) -> Result<ExitCode> {
    let VerifyArgs {
        name,
        plugin_dirs,
        output,
    } = args;
    let dirs = plugin_dirs.into_dirs();
    let mut plugins = tokio::task::spawn_blocking(move || rdd_plugin::verify(&dirs))
        .await
        .context("cannot verify the plugins")?;
    if let Some(name) = name {
        plugins.retain(|plugin| plugin.name == name);
        if plugins.is_empty() {
            bail!(
                "no plugin named {name:?} is installed; 'rdd plugin list' shows the installed ones"
            );
        }
    }
    let plugins: Vec<VerifyRow> = plugins.into_iter().map(VerifyRow::from).collect();
    let is_refused = plugins.iter().any(|plugin| plugin.result == "refused");
    output.print(&VerifyReport { plugins })?;
    Ok(match is_refused {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
