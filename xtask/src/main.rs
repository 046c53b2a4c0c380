//! Developer tasks.

mod crds;
mod plugins;
mod wit;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the CRDs in crds/ from the types
    Crds(crds::CrdsArgs),
    /// Build the engine backends as WebAssembly components with their manifests
    Plugins(plugins::PluginsArgs),
    /// Record the digest of wit/, or check it against the recorded one
    Wit(wit::WitArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Crds(args) => crds::run(&args),
        Task::Plugins(args) => plugins::run(&args),
        Task::Wit(args) => wit::run(&args),
    }
}
