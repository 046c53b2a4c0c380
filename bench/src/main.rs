//! Compares the daemon with other programs in one run, and prints a table.
//!
//! Benchmarks are not tests: they do not assert times. Their engine must not hold
//! anything else; `make bench` starts one.

// In layers: each module uses only those after it.

mod rows;

mod daemon;
mod docker;
mod fake_log_server;
mod report;
mod stats;

mod log_format;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use report::BenchmarkReport;
use rows::BenchmarkKind;

/// Compare the daemon with other programs and print a Markdown table
#[derive(Parser)]
struct Args {
    /// Path of the rdd program, built for release
    #[arg(long)]
    rdd: PathBuf,
    /// URL of a Docker engine that is used for nothing else
    #[arg(
        long,
        env = "DOCKER_HOST",
        required_unless_present = "rival_kubeconfig"
    )]
    engine: Option<String>,
    /// Path of kubectl, for the rows that measure it
    #[arg(long, required_unless_present = "rival_kubeconfig")]
    kubectl: Option<PathBuf>,
    /// Compare the embedded API server with the server of this kubeconfig, and nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    rival_kubeconfig: Option<PathBuf>,
    /// Directory of the backend as a dynamic library, for the rows that compare the forms
    #[arg(long, value_name = "DIR")]
    library: Option<PathBuf>,
    /// Directory of the components of plugins/fixtures, for the row with bad backends
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Path of scripts/page, for the rows of the web page
    #[arg(long, value_name = "PATH")]
    page_script: Option<PathBuf>,
    /// Directory for state directories, on the disk to measure
    #[arg(long)]
    work_dir: PathBuf,
    /// Measure only these rows, such as `logs,idle`; by default all but `page`, which
    /// needs Node and Chromium
    #[arg(long, value_delimiter = ',')]
    rows: Vec<BenchmarkKind>,
    /// Number of measurements per throughput and start; the median is reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// The configuration of all rows.
struct BenchmarkConfig {
    rdd: PathBuf,
    /// The backend that is beside the program.
    component: PathBuf,
    library: Option<PathBuf>,
    fixtures: Option<PathBuf>,
    page_script: Option<PathBuf>,
    kubectl: PathBuf,
    work_dir: PathBuf,
    rounds: u32,
    docker: docker::DockerClient,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Fails only if a provider is already installed, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args = Args::parse();
    if !args.rdd.is_file() {
        bail!("no program at {}; run 'make build'", args.rdd.display());
    }
    std::fs::create_dir_all(&args.work_dir)
        .with_context(|| format!("cannot create {}", args.work_dir.display()))?;
    let mut table = BenchmarkReport::default();
    if let Some(rival) = args.rival_kubeconfig {
        rows::apiserver::run(&args.rdd, &args.work_dir, &rival, args.rounds, &mut table).await?;
        return table.print(None);
    }
    let engine = args.engine.context("no --engine")?;
    let bench = BenchmarkConfig {
        docker: docker::DockerClient::connect(&engine).await?,
        component: args.rdd.with_file_name("plugins").join("moby"),
        library: args.library,
        fixtures: args.fixtures,
        page_script: args.page_script,
        rdd: args.rdd,
        kubectl: args.kubectl.context("no --kubectl")?,
        work_dir: args.work_dir,
        rounds: args.rounds,
    };
    let rows = if args.rows.is_empty() {
        BenchmarkKind::defaults()
    } else {
        args.rows
    };
    for row in rows {
        rows::run(row, &bench, &mut table).await?;
    }
    table.print(Some(&bench.docker.version().await?))
}
