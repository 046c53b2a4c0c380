//! `rdd`: serves a container engine as Kubernetes objects, and its logs over
//! WebSockets. The binary parses the command line, wires the crates together,
//! and shuts them down in order.

// In layers: each module uses only those after it.

mod cli;

mod actions;
mod backups;
mod ctl;
mod dashboard;
mod exec;
mod man_pages;
mod serve;
mod status;
mod tokens;
mod version;

mod logs;
mod plugins;

mod completion;

mod client;
mod container_lookup;

mod discovery_entry;

mod compiler;
mod docker_config;
mod docker_context;
mod duration_argument;
mod plugin_dirs;
mod proxy;
mod state_dir;
mod token_record;

mod telemetry;

mod output;
mod progress_line;

use clap::{CommandFactory as _, Parser as _};

// The allocator of the C library keeps the memory of a burst of work. jemalloc
// returns it within a second (settings in .cargo/config.toml, ADR 023).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    // Fails only if a provider is already installed, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    // A completion script runs the program with a variable that says so.
    completion::environment(cli::Cli::command).complete();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::print_error(&format!("cannot start: {error}"));
            return std::process::ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli::run(cli::Cli::parse()));
    // Do not wait for threads that compile a backend or write to a terminal:
    // everything that has to finish was awaited.
    runtime.shutdown_background();
    code
}
