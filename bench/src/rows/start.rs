//! The duration of a start.

use anyhow::Result;

use crate::BenchmarkConfig;
use crate::daemon::BenchmarkDaemon;
use crate::report::{BenchmarkReport, milliseconds};
use crate::stats::SampleSet;

/// Row 10: a start with a compiled backend and an existing database, like every
/// start but the first.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let first = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    table.add(
        "first start to ready, including the compilation of the backend",
        milliseconds(first.ready_after.as_secs_f64()),
        "8.6 s (the peer)",
        crate::report::ratio(first.ready_after.as_secs_f64(), 8.6),
        "none",
    );
    first.stop().await?;
    let mut sample = SampleSet::default();
    for _ in 0..bench.rounds {
        let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
        sample.add_time(daemon.ready_after);
        daemon.stop().await?;
    }
    table.add(
        "warm start to ready",
        milliseconds(sample.median()),
        "1.7 s (the peer)",
        crate::report::ratio(sample.median(), 1.7),
        "≤ 500 ms",
    );
    Ok(())
}
