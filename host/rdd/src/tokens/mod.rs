//! `rdd token`: creates, lists, and revokes tokens with fewer rights than that of
//! the instance. They are Secrets of the embedded API server, so these commands
//! are clients like others.

mod create;
mod list;
mod revoke;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::state_dir::StateDir;
use crate::{client, output};

/// The commands of `rdd token`.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it, once
    Create(create::TokenCreateArgs),
    /// List the tokens that were created, without the tokens themselves
    List(output::OutputArgs),
    /// End a token, and everything that was opened with it
    Revoke(revoke::TokenRevokeArgs),
}

/// Runs a command.
pub(crate) async fn run(state_dir: &StateDir, command: TokenCommand) -> Result<ExitCode> {
    // Of the daemon itself: a cluster of --kubeconfig has tokens of its own.
    let client = client::connect_to_daemon(state_dir).await?;
    match command {
        TokenCommand::Create(args) => create::run(client, args).await,
        TokenCommand::List(output) => list::run(client, output).await,
        TokenCommand::Revoke(args) => revoke::run(client, args).await,
    }
}

/// Returns the Secrets of the namespace in which tokens are stored.
fn secrets(client: Client) -> Api<Secret> {
    Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE)
}
