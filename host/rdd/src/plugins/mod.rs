//! `rdd plugin`: lists, installs, and removes backends, and publishes them; for
//! their authors, writes, builds, and tests new ones.

mod args;
pub(crate) mod list;

mod candidate;
mod derived_manifest;
mod local_files;

mod description;
mod inspect;
mod install;
mod manage;
mod push;
mod verify;

mod build;
mod new;
mod test;
mod toy_engine;

use std::process::ExitCode;

use anyhow::Result;

pub(crate) use args::PluginCommand;
pub(crate) use list::check_backend;

use crate::state_dir::StateDir;

/// Runs a command.
pub(crate) async fn run(state_dir: &StateDir, command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List {
            plugin_dirs,
            output,
        } => list::list(state_dir, plugin_dirs, output).await,
        PluginCommand::Inspect(args) => inspect::run(args).await,
        PluginCommand::Install(args) => install::run(args).await,
        PluginCommand::Verify(args) => verify::run(args).await,
        PluginCommand::Enable(args) => manage::enable(args),
        PluginCommand::Disable(args) => manage::disable(args),
        PluginCommand::Remove(args) => manage::remove(args),
        PluginCommand::Push(args) => push::run(args).await,
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args).await,
        PluginCommand::Test(args) => test::run(state_dir, args).await,
        PluginCommand::ToyEngine(args) => toy_engine::run(args).await,
    }
}
