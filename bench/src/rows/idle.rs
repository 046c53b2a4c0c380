//! The CPU and memory of an idle daemon.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::BenchmarkConfig;
use crate::daemon::BenchmarkDaemon;
use crate::report::{BenchmarkReport, ratio};
use crate::rows::sync::wait_for_sync;

const CONTAINERS: usize = 100;
/// How long after the start the daemon is idle.
const SETTLE: Duration = Duration::from_secs(20);
/// The duration of the measurement. Long enough for a resolution of 0.1 % with
/// ticks of 10 ms.
const MEASUREMENT: Duration = Duration::from_secs(60);
/// The number of idle log streams whose memory is measured.
const STREAMS: usize = 100;
/// The number of idle viewers of one log whose memory is measured: most of what one
/// user may have.
const VIEWERS: usize = 300;
/// The number of streams that are opened at the same time: fewer than the daemon
/// allows connections whose credentials it has not seen yet.
const MAX_OPENING: usize = 64;
const MIB: f64 = 1024.0 * 1024.0;

/// Rows 9 and 7: a hundred running containers without log streams, then with idle
/// ones, and then many of one container.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    bench.docker.fill(CONTAINERS, true).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    // The first start compiles the backend, which must not count as idle memory.
    BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host)
        .await?
        .stop()
        .await?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    wait_for_sync(&daemon, CONTAINERS).await?;
    tokio::time::sleep(SETTLE).await;

    let (cpu, begun) = (daemon.cpu_seconds()?, Instant::now());
    tokio::time::sleep(MEASUREMENT).await;
    let share = (daemon.cpu_seconds()? - cpu) / begun.elapsed().as_secs_f64() * 100.0;
    let memory = daemon.memory()?;
    table.add(
        "idle, 100 running containers: CPU of one core",
        format!("{share:.2} %"),
        "1.6–3.6 % (the peer)",
        ratio(share, 1.6),
        "≤ 0.2 %",
    );
    let resident = mib(memory.resident);
    table.add(
        "idle, 100 running containers: RSS (of it anonymous)",
        format!("{resident:.1} MiB ({:.1})", mib(memory.anonymous)),
        "344 MiB (the peer)",
        ratio(resident, 344.0),
        "≤ 60 MB (57.2 MiB)",
    );

    let ids = bench.docker.container_ids().await?;
    let first = ids.first().context("no containers")?;
    let each = memory_per_stream(&daemon, ids.iter().take(STREAMS)).await?;
    table.add(
        "memory per idle log stream, one store each",
        format!("{each:.0} KiB"),
        "–",
        "–",
        "≤ 120 KiB",
    );
    daemon.stop().await?;

    // Of another process, which cannot use the memory that was freed.
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    wait_for_sync(&daemon, CONTAINERS).await?;
    tokio::time::sleep(SETTLE).await;
    // The first one opens the engine's stream, which all others share.
    let _shared = daemon.open_log(first, "tail=0").await?;
    let each = memory_per_stream(&daemon, std::iter::repeat_n(first, VIEWERS)).await?;
    table.add(
        "memory per idle viewer of a shared log stream",
        format!("{each:.0} KiB"),
        "–",
        "–",
        "≤ 24 KiB",
    );
    daemon.stop().await?;
    bench.docker.clear().await
}

/// Returns the growth of anonymous memory in KiB for each stream that is open at the
/// same time.
async fn memory_per_stream(
    daemon: &BenchmarkDaemon,
    ids: impl ExactSizeIterator<Item = &String>,
) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let count = ids.len() as f64;
    let before = mib(daemon.memory()?.anonymous);
    let opening = ids.map(|id| daemon.open_log(id, "tail=0"));
    let streams: Vec<_> = stream::iter(opening)
        .buffered(MAX_OPENING)
        .try_collect()
        .await?;
    tokio::time::sleep(SETTLE / 4).await;
    let grown = mib(daemon.memory()?.anonymous) - before;
    drop(streams);
    Ok(grown * 1024.0 / count)
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = bytes as f64;
    bytes / MIB
}
