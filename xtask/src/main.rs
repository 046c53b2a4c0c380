//! Developer tasks.

mod crds;
mod plugins;
mod wit;

use std::process::Command;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the CRDs and admission policies in crds/
    Crds(crds::CrdsArgs),
    /// Build the engine backends as WebAssembly components with their manifests
    Plugins(plugins::PluginsArgs),
    /// Record the digest of wit/, or check it against the recorded one
    Wit(wit::WitArgs),
}

/// Returns the cargo that runs this task, or the one in `PATH` if the program was
/// started directly.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Crds(args) => crds::run(&args),
        Task::Plugins(args) => plugins::run(&args),
        Task::Wit(args) => wit::run(&args),
    }
}
