//! A container engine as Kubernetes objects, its logs over WebSockets.
//!
//! The binary: reads the command line, wires the rooms together, and ends
//! them in order.

mod actions;
mod cli;
mod client;
mod ctl;
mod endpoint;
mod logs;
mod output;
mod plugin_dirs;
mod plugins;
mod progress_line;
mod proxy;
mod serve;
mod state_dir;
mod status;
mod telemetry;
mod version;

use clap::Parser as _;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // Fails only where one is installed already, which would do as well.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    cli::run(cli::Cli::parse()).await
}
