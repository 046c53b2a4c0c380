//! How long a start takes.

use anyhow::Result;

use crate::Bench;
use crate::daemon::Daemon;
use crate::stats::Sample;
use crate::table::{Table, ms};

/// Row 10: with the backend compiled and the database there, as on every start but the first.
pub(crate) async fn run(bench: &Bench, table: &mut Table) -> Result<()> {
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let first = Daemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    table.add(
        "first start to ready, the backend compiled meanwhile",
        ms(first.ready_after.as_secs_f64()),
        "8.6 s (the peer)",
        crate::table::ratio(first.ready_after.as_secs_f64(), 8.6),
        "none",
    );
    first.stop().await?;
    let mut sample = Sample::default();
    for _ in 0..bench.rounds {
        let daemon = Daemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
        sample.add_time(daemon.ready_after);
        daemon.stop().await?;
    }
    table.add(
        "warm start to ready",
        ms(sample.median()),
        "1.7 s (the peer)",
        crate::table::ratio(sample.median(), 1.7),
        "≤ 500 ms",
    );
    Ok(())
}
