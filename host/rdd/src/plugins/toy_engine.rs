//! `rdd plugin toy-engine`: runs the toy engine in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rdd_toy_engine::ToyEngine;
use tokio::signal::unix::{SignalKind, signal};

use crate::output;

/// Options of `rdd plugin toy-engine`.
#[derive(Args, Clone)]
pub(crate) struct ToyEngineArgs {
    /// Socket to listen on, such as unix:///tmp/toy.sock
    #[arg(long, value_name = "URL")]
    listen: String,
    /// Start without the demo containers
    #[arg(long)]
    empty: bool,
}

/// Runs the engine until the process is interrupted or terminated.
pub(crate) async fn run(args: ToyEngineArgs) -> Result<ExitCode> {
    let path = match args.listen.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => PathBuf::from(path),
        _ => bail!(
            "cannot listen on {:?}; pass a Unix socket such as unix:///tmp/toy.sock",
            args.listen
        ),
    };
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let engine = if args.empty {
        ToyEngine::new()
    } else {
        ToyEngine::with_demo()?
    };
    let server = engine.listen(&path)?;
    output::print_note(&format!(
        "the toy engine listens on {}; press Ctrl-C to stop it",
        args.listen
    ));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for SIGINT")?,
        _ = terminated.recv() => {}
    }
    server.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
