//! What the daemon costs when nothing happens.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use crate::Bench;
use crate::daemon::Daemon;
use crate::rows::sync::synced;
use crate::table::{Table, ratio};

const CONTAINERS: usize = 100;
/// From here on nothing is left of the start.
const SETTLE: Duration = Duration::from_secs(20);
/// Long enough for ticks of 10 ms to tell a tenth of a per cent.
const WATCHED: Duration = Duration::from_secs(60);
/// Idle log streams whose memory is measured.
const STREAMS: usize = 100;
const MIB: f64 = 1024.0 * 1024.0;

/// Rows 9 and 7: a hundred running containers and no viewer, then idle viewers.
pub(crate) async fn run(bench: &Bench, table: &mut Table) -> Result<()> {
    bench.docker.fill(CONTAINERS, true).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    // A first start compiles the backend, which is no idle daemon's memory.
    Daemon::start(&bench.rdd, state.path(), &bench.docker.host)
        .await?
        .stop()
        .await?;
    let daemon = Daemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    synced(&daemon, CONTAINERS).await?;
    tokio::time::sleep(SETTLE).await;

    let (cpu, begun) = (daemon.cpu()?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let share = (daemon.cpu()? - cpu) / begun.elapsed().as_secs_f64() * 100.0;
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

    let ids = bench.docker.ids().await?;
    let viewers = try_join_all(
        ids.iter()
            .take(STREAMS)
            .map(|id| daemon.log(id, "follow=true")),
    )
    .await?;
    tokio::time::sleep(SETTLE / 4).await;
    let grown = mib(daemon.memory()?.anonymous) - mib(memory.anonymous);
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    let each = grown * 1024.0 / viewers.len() as f64;
    table.add(
        "memory per idle log stream, one store each",
        format!("{each:.0} KiB"),
        "–",
        "–",
        "≤ 160 KiB",
    );
    drop(viewers);
    daemon.stop().await?;
    bench.docker.clear().await
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = bytes as f64;
    bytes / MIB
}
