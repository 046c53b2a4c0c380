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
    /// Writes the CRDs of crds/ from the types.
    Crds(crds::Args),
    /// Builds the engine backends as WASM components, each with its manifest.
    Plugins(plugins::Args),
    /// Records what wit/ means, or checks it against the record.
    Wit(wit::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Crds(args) => crds::run(&args),
        Task::Plugins(args) => plugins::run(&args),
        Task::Wit(args) => wit::run(&args),
    }
}
