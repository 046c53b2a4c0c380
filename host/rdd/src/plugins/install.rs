//! `rdd plugin install`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rdd_plugin::{
    DirectoryGrant, InstallOutcome, LockEntry, PlaceholderDirs, PluginStore, is_same_dir,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};

use super::args::InstallArgs;
use super::candidate::PluginCandidate;
use super::description::{PluginDescription, limits_above_defaults};
use crate::output::{self, CommandReport};
use crate::plugin_dirs;

/// Exit code of a command that a signal interrupted, as in a shell: 128 + 2.
const INTERRUPTED_EXIT_CODE: u8 = 130;

/// The output of the command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstallReport {
    name: String,
    version: String,
    source: String,
    sha256: String,
    path: String,
    replaced_version: Option<String>,
}

impl CommandReport for InstallReport {
    fn text(&self) -> String {
        let Self {
            name,
            version,
            path,
            replaced_version,
            ..
        } = self;
        match replaced_version {
            Some(before) => {
                format!("installed {name} {version} in {path}, which replaces {before}\n")
            }
            None => format!("installed {name} {version} in {path}\n"),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Installs a plugin. What was copied or downloaded is removed if anything
/// fails, or if a signal interrupts the command.
pub(super) async fn run(args: InstallArgs) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle signals")?;
    tokio::select! {
        result = install(args) => result,
        // The staging directory is removed when its value is dropped, here.
        _ = interrupt.recv() => interrupted(),
        _ = terminate.recv() => interrupted(),
    }
}

fn interrupted() -> Result<ExitCode> {
    output::print_note("interrupted; nothing was installed");
    Ok(ExitCode::from(INTERRUPTED_EXIT_CODE))
}

async fn install(args: InstallArgs) -> Result<ExitCode> {
    let InstallArgs {
        source,
        yes,
        allow_native,
        output,
    } = args;
    let store = PluginStore::new(plugin_dirs::required_user_dir()?);
    let candidate = PluginCandidate::open(&source.source, source.registry).await?;
    let directories = grants(&candidate)?;
    output::print_note(PluginDescription::of(&candidate).text().trim_end());
    if candidate.manifest.artifact.is_native() && !allow_native {
        bail!(
            "{} is a dynamic library, which runs outside of the sandbox with all rights of the daemon; pass --allow-native if you trust its publisher",
            candidate.manifest.name
        );
    }
    if !yes && !confirm().await? {
        output::print_note("nothing was installed");
        return Ok(ExitCode::FAILURE);
    }
    let staged = store.stage()?;
    candidate.stage(&staged).await?;

    let manifest = &candidate.manifest;
    let mut guard = store.lock()?;
    // The user's own decisions survive an upgrade.
    let previous = guard.lock_file().entries(&manifest.name).next().cloned();
    let mut limits = limits_above_defaults(manifest);
    if let Some(previous) = &previous {
        limits = previous.limits.or(limits);
    }
    let entry = LockEntry {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        source: candidate.source.clone(),
        digest: candidate.file.sha256.clone(),
        manifest_digest: format!("{:x}", Sha256::digest(&candidate.manifest_text)),
        enabled: previous.is_none_or(|previous| previous.enabled),
        allow_native: manifest.artifact.is_native() && allow_native,
        directories,
        limits,
    };
    let is_enabled = entry.enabled;
    let outcome = guard.install(staged, entry)?;
    drop(guard);
    output.print(&InstallReport {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        source: candidate.source.clone(),
        sha256: candidate.file.sha256.clone(),
        path: store.dir().join(&manifest.name).display().to_string(),
        replaced_version: match outcome {
            InstallOutcome::Installed => None,
            InstallOutcome::Replaced(version) => Some(version),
        },
    })?;
    if !is_enabled {
        output::print_note(&format!(
            "it is still disabled; run 'rdd plugin enable {}' to load it",
            manifest.name
        ));
    }
    if let Some(searched) = plugin_dirs::explicit_dirs()
        && !searched.iter().any(|dir| is_same_dir(dir, store.dir()))
    {
        output::print_note(&format!(
            "RDD_PLUGIN_DIR is set and does not contain {}, so a daemon with this environment does not load it",
            store.dir().display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the directories that the user grants by installing the plugin.
fn grants(candidate: &PluginCandidate) -> Result<Vec<DirectoryGrant>> {
    let dirs = PlaceholderDirs::read();
    candidate
        .manifest
        .directories
        .iter()
        .map(|request| {
            request.grant(&dirs).with_context(|| {
                format!(
                    "{} asks to read {}, but that variable is not set; set it, then install the plugin again",
                    candidate.manifest.name, request.path
                )
            })
        })
        .collect()
}

/// Asks the user on the terminal.
async fn confirm() -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!(
            "cannot ask for confirmation without a terminal; check the description above, then pass --yes"
        );
    }
    // If the question cannot be written, the answer decides nevertheless.
    write!(io::stderr(), "Install it? [y/N] ").ok();
    // Reading blocks its thread until the user answers or the program ends.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    })
    .await
    .context("cannot read the answer")?
    .context("cannot read the answer")?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
