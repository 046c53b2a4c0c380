//! The rows of the table, each measured separately.

pub(crate) mod apiserver;
mod backends;
mod bad_backends;
mod events;
mod idle;
mod lines;
mod logs;
mod page;
mod start;
mod sync;
mod viewers;

use anyhow::Result;
use clap::ValueEnum;

use crate::BenchmarkConfig;
use crate::report::BenchmarkReport;

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum BenchmarkKind {
    /// Throughput of a log from a fake engine
    FakeLogs,
    /// Throughput of a log from a real engine
    Logs,
    /// Throughput, start, and memory of the forms of a backend
    Backends,
    /// Latency of a backend beside bad ones
    BadBackends,
    /// Latency from an engine event to the watch event
    Events,
    /// Latency of a log line
    Lines,
    /// CPU of a hundred viewers of one container
    Viewers,
    /// Latency of a log line beside a viewer that does not read
    StalledViewer,
    /// First sync of a thousand containers
    Sync,
    /// Memory and CPU of an idle daemon
    Idle,
    /// Time from the start of the process to readiness
    Start,
    /// The web page in Chromium; needs Node, so it must be named
    Page,
}

impl BenchmarkKind {
    /// Returns what is measured unless rows are named: everything that needs no
    /// further programs.
    pub(crate) fn defaults() -> Vec<Self> {
        let mut rows = Self::value_variants().to_vec();
        rows.retain(|row| !matches!(row, Self::Page));
        rows
    }
}

pub(crate) async fn run(
    row: BenchmarkKind,
    bench: &BenchmarkConfig,
    table: &mut BenchmarkReport,
) -> Result<()> {
    match row {
        BenchmarkKind::FakeLogs => logs::fake(bench, table).await,
        BenchmarkKind::Logs => logs::real(bench, table).await,
        BenchmarkKind::Backends => backends::run(bench, table).await,
        BenchmarkKind::BadBackends => bad_backends::run(bench, table).await,
        BenchmarkKind::Events => events::run(bench, table).await,
        BenchmarkKind::Lines => lines::run(bench, table).await,
        BenchmarkKind::Viewers => viewers::run(bench, table).await,
        BenchmarkKind::StalledViewer => viewers::stalled(bench, table).await,
        BenchmarkKind::Sync => sync::run(bench, table).await,
        BenchmarkKind::Idle => idle::run(bench, table).await,
        BenchmarkKind::Start => start::run(bench, table).await,
        BenchmarkKind::Page => page::run(bench, table).await,
    }
}
