//! A container engine as Kubernetes objects, its logs over WebSockets.
//!
//! The binary: reads the command line, wires the rooms together, and ends
//! them in order.

mod actions;
mod cli;
mod client;
mod compiler;
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

// The allocator of the C library keeps what a burst of work needed; this one
// gives it back within a second (settings in .cargo/config.toml, ADR 023).
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    // Fails only where one is installed already, which would do as well.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::print_error(&format!("cannot start: {error}"));
            return std::process::ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli::run(cli::Cli::parse()));
    // A thread that compiles a backend or waits for a terminal would hold up
    // the end; what counts was waited for.
    runtime.shutdown_background();
    code
}
