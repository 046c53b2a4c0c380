//! The CPU and memory of an idle daemon.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

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
const MIB: f64 = 1024.0 * 1024.0;

/// Rows 9 and 7: a hundred running containers without log streams, then with idle
/// ones.
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
    let streams = try_join_all(
        ids.iter()
            .take(STREAMS)
            .map(|id| daemon.open_log(id, "follow=true")),
    )
    .await?;
    tokio::time::sleep(SETTLE / 4).await;
    let grown = mib(daemon.memory()?.anonymous) - mib(memory.anonymous);
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    let each = grown * 1024.0 / streams.len() as f64;
    table.add(
        "memory per idle log stream, one store each",
        format!("{each:.0} KiB"),
        "–",
        "–",
        "≤ 160 KiB",
    );
    drop(streams);
    daemon.stop().await?;
    bench.docker.clear().await
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = bytes as f64;
    bytes / MIB
}
