//! `rdd plugin build`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rdd_plugin::{Platform, is_backend_name};
use rdd_plugin_project::{
    BuildOptions, BuiltArtifact, PluginForm, ProjectManifest, build, write_output,
};
use serde::Serialize;

use super::candidate::check_component;
use super::local_files::LocalPlugin;
use crate::output::{self, CommandReport, OutputArgs};

/// Options of `rdd plugin build`.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Directory of the project
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Show the output of the tools while they run
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// The output of the command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildReport {
    name: String,
    version: String,
    path: String,
    file: String,
    bytes: usize,
    sha256: String,
}

impl CommandReport for BuildReport {
    fn text(&self) -> String {
        let Self {
            name,
            version,
            path,
            file,
            bytes,
            sha256,
        } = self;
        format!(
            "built {name} {version} in {path}: {file}, {} KiB, sha256 {sha256}\n",
            bytes.div_ceil(1024)
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Builds the plugin of a project and writes it. A plugin that was built before is
/// replaced only by one that is valid.
pub(super) async fn run(args: BuildArgs) -> Result<ExitCode> {
    let BuildArgs {
        dir,
        verbose,
        output,
    } = args;
    let Some(manifest) = ProjectManifest::read(&dir)? else {
        bail!(
            "{} has no plugin.toml with a table [build]; run 'rdd plugin new' for a new project, or name the directory of one",
            dir.display()
        );
    };
    if !is_backend_name(manifest.name()) {
        bail!(
            "plugin.toml has the name {:?}; use lowercase letters, digits, and '-' between them, at most 63 characters",
            manifest.name()
        );
    }
    output::print_note(&format!(
        "building {} in {}; the first time, its tools may download and compile for minutes",
        manifest.name(),
        manifest.language()
    ));
    let options = BuildOptions {
        dir: dir.clone(),
        platform: Platform::current().to_string(),
        is_verbose: verbose,
    };
    // The tools take as long as they take; interrupting the command ends them, too.
    let report = tokio::task::spawn_blocking(move || {
        let artifact = build(&manifest, &options)?;
        finish(&manifest, &dir, &artifact)
    })
    .await
    .context("cannot build the plugin")??;
    output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// Validates what was built, and writes it.
fn finish(manifest: &ProjectManifest, dir: &Path, artifact: &BuiltArtifact) -> Result<BuildReport> {
    if artifact.form == PluginForm::Component {
        check_component(&artifact.content).context("cannot use the component")?;
    }
    let plugins = ProjectManifest::output_dir(dir);
    let path = write_output(&plugins, manifest.name(), manifest.plugin(), artifact)?;
    let plugin = LocalPlugin::open(&path)?.manifest;
    Ok(BuildReport {
        name: plugin.name,
        version: plugin.version,
        path: path
            .strip_prefix(".")
            .unwrap_or(&path)
            .display()
            .to_string(),
        file: artifact.file.clone(),
        bytes: artifact.content.len(),
        sha256: artifact.sha256(),
    })
}
