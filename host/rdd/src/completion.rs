//! Completion of command lines by shells: `rdd completion` prints a script that runs
//! the program again for the candidates.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use rdd_core::COMPOSE_PROJECT_LABEL;

use crate::client;
use crate::container_lookup::{self, KnownContainer};
use crate::output;
use crate::state_dir::StateDir;

/// The name of the program in scripts.
const PROGRAM: &str = "rdd";
/// The variable by which a script asks for candidates.
const VARIABLE: &str = "RDD_COMPLETE";

/// How long a key press may wait for the daemon.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How a script is used.
pub(crate) const SETUP_HELP: &str = "\
Setup:
  bash:  source <(rdd completion bash)                    in ~/.bashrc
  zsh:   source <(rdd completion zsh)                     in ~/.zshrc, after compinit
  fish:  rdd completion fish | source                     in ~/.config/fish/config.fish";

/// Returns the part of the program that answers scripts.
pub(crate) fn environment<F: Fn() -> Command>(command: F) -> CompleteEnv<'static, F> {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(PROGRAM)
}

/// Returns the parser of a shell's name.
pub(crate) fn shell_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Shells::builtins().names())
}

/// Prints the script for a shell.
pub(crate) fn print_script(shell: &str) -> Result<ExitCode> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell)
        .with_context(|| format!("there is no completion for {shell:?}"))?;
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let program = program
        .to_str()
        .context("the path of this program is not UTF-8, which scripts need")?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, program, &mut script)?;
    output::print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of containers.
pub(crate) fn containers(current: &OsStr) -> Vec<CompletionCandidate> {
    name_candidates(current, |_| true)
}

/// Returns the names of running containers.
pub(crate) fn running_containers(current: &OsStr) -> Vec<CompletionCandidate> {
    name_candidates(current, |known| known.is_running)
}

/// Returns the names of Docker Compose projects.
pub(crate) fn projects(current: &OsStr) -> Vec<CompletionCandidate> {
    let known = known_containers();
    let labels = known
        .iter()
        .filter_map(|known| known.labels.get(COMPOSE_PROJECT_LABEL));
    let mut projects: Vec<_> = labels.collect();
    projects.sort();
    projects.dedup();
    let matching = projects.into_iter().filter(|it| begins_with(it, current));
    matching.map(CompletionCandidate::new).collect()
}

fn name_candidates(
    current: &OsStr,
    is_offered: impl Fn(&KnownContainer) -> bool,
) -> Vec<CompletionCandidate> {
    let known = known_containers();
    let offered = known
        .iter()
        .filter(|known| is_offered(known) && begins_with(&known.name, current));
    let described = offered
        .map(|known| CompletionCandidate::new(&known.name).help(Some(known.image.clone().into())));
    described.collect()
}

fn begins_with(text: &str, current: &OsStr) -> bool {
    !text.is_empty() && text.as_bytes().starts_with(current.as_encoded_bytes())
}

/// Lists the containers. Without a daemon, there is nothing to complete, and an
/// error would only garble the command line.
fn known_containers() -> Vec<KnownContainer> {
    let list = async {
        // Options are not parsed here.
        let directory = std::env::var_os("RDD_STATE_DIR").map(PathBuf::from);
        let client = client::connect(&StateDir::locate(directory)?).await?;
        container_lookup::list_containers(client).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let listed = runtime
        .map(|runtime| runtime.block_on(async { tokio::time::timeout(MAX_WAIT, list).await }));
    match listed {
        Ok(Ok(Ok(containers))) => containers,
        _ => Vec::new(),
    }
}
