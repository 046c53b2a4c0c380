//! The rows of the table, each measured on its own.

mod events;
mod idle;
mod lines;
mod logs;
mod start;
mod sync;

use anyhow::Result;
use clap::ValueEnum;

use crate::Bench;
use crate::table::Table;

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Row {
    /// Bytes a second of a log, from an engine that costs nothing.
    FakeLogs,
    /// Bytes a second of a log, from the real engine.
    Logs,
    /// From an engine's event to the watch event.
    Events,
    /// From a line's writing to its reading.
    Lines,
    /// The first sync of a thousand containers.
    Sync,
    /// Memory and CPU when nothing happens.
    Idle,
    /// From the start of the process to readiness.
    Start,
}

impl Row {
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }
}

pub(crate) async fn run(row: Row, bench: &Bench, table: &mut Table) -> Result<()> {
    match row {
        Row::FakeLogs => logs::fake(bench, table).await,
        Row::Logs => logs::real(bench, table).await,
        Row::Events => events::run(bench, table).await,
        Row::Lines => lines::run(bench, table).await,
        Row::Sync => sync::run(bench, table).await,
        Row::Idle => idle::run(bench, table).await,
        Row::Start => start::run(bench, table).await,
    }
}
