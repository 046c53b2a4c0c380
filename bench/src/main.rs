//! Measures the daemon beside its rivals, in one run, and prints a table.
//!
//! Benchmarks compare; they are no tests and assert no time. The engine they
//! run on must hold nothing else: `make bench` starts one.

mod daemon;
mod docker;
mod fake_engine;
mod rows;
mod stats;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use rows::Row;
use table::Table;

/// Measures the daemon beside its rivals and prints a Markdown table.
#[derive(Parser)]
struct Args {
    /// The rdd program, built for release.
    #[arg(long)]
    rdd: PathBuf,
    /// A Docker engine of the benchmark's own.
    #[arg(long, env = "DOCKER_HOST")]
    engine: String,
    /// kubectl, for the rows that time it.
    #[arg(long)]
    kubectl: PathBuf,
    /// Where state directories are made, on the disk that is to be measured.
    #[arg(long)]
    work_dir: PathBuf,
    /// Only these rows, such as `logs,idle`.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// How often each pair of throughputs and starts is measured; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// What every row needs.
struct Bench {
    rdd: PathBuf,
    kubectl: PathBuf,
    work_dir: PathBuf,
    rounds: u32,
    docker: docker::Docker,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Fails only where one is installed already, which would do as well.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args = Args::parse();
    if !args.rdd.is_file() {
        bail!("no program at {}; run 'make build'", args.rdd.display());
    }
    std::fs::create_dir_all(&args.work_dir)
        .with_context(|| format!("cannot make {}", args.work_dir.display()))?;
    let bench = Bench {
        docker: docker::Docker::connect(&args.engine).await?,
        rdd: args.rdd,
        kubectl: args.kubectl,
        work_dir: args.work_dir,
        rounds: args.rounds,
    };
    let rows = if args.rows.is_empty() {
        Row::all()
    } else {
        args.rows
    };
    let mut table = Table::default();
    for row in rows {
        rows::run(row, &bench, &mut table).await?;
    }
    table.print(&bench.docker.version().await?)
}
