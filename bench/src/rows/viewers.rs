//! Many viewers of one container, which share one stream of the engine.

use std::fs::File;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use futures::future::try_join_all;
use procfs::process::Process;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::BenchmarkConfig;
use crate::daemon::{BenchmarkDaemon, LogSocket};
use crate::docker;
use crate::log_format::{self, LogFormat};
use crate::report::{BenchmarkReport, milliseconds, ratio};
use crate::stats::SampleSet;

const VIEWERS: usize = 100;
/// How long the CPU time of the viewers is measured.
const MEASUREMENT: Duration = Duration::from_secs(10);
/// The part of the median that each viewer has to receive, so that none is left
/// behind.
const MIN_SHARE: f64 = 0.9;
/// 200 lines per second of 100 bytes, two at a time.
const LINES: &str = "l=$(printf '%099d' 0); while :; do echo $l; echo $l; usleep 10000; done";

/// The viewers whose latency is measured.
const HEALTHY: usize = 10;
/// The entries of each of them in a round.
const ENTRIES: usize = 1000;
/// 100 entries per second of 10,000 bytes: enough to fill all buffers of a reader
/// that stalls within seconds.
const LONG_LINES: &str = "l=$(printf '%09999d' 0); while :; do echo $l; usleep 10000; done";
/// How long a reader stalls before it counts as stalled.
const STALL: Duration = Duration::from_secs(10);

/// Row 11: the CPU of a hundred viewers.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let id = bench.docker.run(LINES).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    let (mut ours, mut rivals, mut streams) = (SampleSet::default(), SampleSet::default(), 0.0);
    for _ in 0..bench.rounds.min(3) {
        let viewers = SocketViewers::open(&daemon, &id).await?;
        let (cpu, bytes) = (daemon.cpu_seconds()?, viewers.bytes());
        tokio::time::sleep(MEASUREMENT).await;
        ours.add(daemon.cpu_seconds()? - cpu);
        ensure_all_served(&bytes, &viewers.bytes())?;
        streams = daemon.metric("rdd_plugin_streams{", "kind=\"log\"").await?;
        drop(viewers);

        let viewers = CommandViewers::start(bench, &id)?;
        viewers.wait_for_output().await?;
        let (cpu, bytes) = (viewers.cpu_seconds()?, viewers.bytes()?);
        tokio::time::sleep(MEASUREMENT).await;
        rivals.add(viewers.cpu_seconds()? - cpu);
        ensure_all_served(&bytes, &viewers.bytes()?)?;
    }
    table.add(
        "100 viewers of one container, 200 lines/s: CPU of the daemon ÷ of 100 `docker logs -f`",
        format!("{:.2} s", ours.median()),
        format!("{:.2} s", rivals.median()),
        ratio(ours.median(), rivals.median()),
        "≤ 0.1",
    );
    table.add(
        "the same, streams of the engine",
        format!("{streams:.0}"),
        VIEWERS.to_string(),
        "–",
        "1",
    );
    daemon.stop().await?;
    bench.docker.clear().await
}

/// Fails if a viewer received much less than the others.
fn ensure_all_served(before: &[u64], after: &[u64]) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "the bytes of some seconds")]
    let mut received: Vec<f64> = after
        .iter()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(*before) as f64)
        .collect();
    received.sort_by(f64::total_cmp);
    let least = received.first().context("no viewers")?;
    let median = received.get(received.len() / 2).context("no viewers")?;
    ensure!(
        *median > 0.0 && *least >= median * MIN_SHARE,
        "a viewer received {least} bytes, half of them {median}"
    );
    Ok(())
}

/// WebSocket clients that count what they receive.
struct SocketViewers {
    counts: Vec<Arc<AtomicU64>>,
    _tasks: JoinSet<Result<()>>,
}

impl SocketViewers {
    async fn open(daemon: &BenchmarkDaemon, id: &str) -> Result<Self> {
        let sockets = try_join_all((0..VIEWERS).map(|_| daemon.open_log(id, "tail=0"))).await?;
        let (mut counts, mut tasks) = (Vec::new(), JoinSet::new());
        for socket in sockets {
            let count = Arc::new(AtomicU64::new(0));
            counts.push(Arc::clone(&count));
            tasks.spawn(count_bytes(socket, count));
        }
        Ok(Self {
            counts,
            _tasks: tasks,
        })
    }

    fn bytes(&self) -> Vec<u64> {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

async fn count_bytes(mut socket: LogSocket, count: Arc<AtomicU64>) -> Result<()> {
    while let Some(message) = socket.next().await {
        if let Message::Binary(bytes) = message? {
            count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Commands that write the log into files.
struct CommandViewers {
    children: Vec<Child>,
    dir: tempfile::TempDir,
}

impl Drop for CommandViewers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended, which the measurement has reported.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl CommandViewers {
    fn start(bench: &BenchmarkConfig, id: &str) -> Result<Self> {
        let mut viewers = Self {
            children: Vec::new(),
            dir: tempfile::tempdir_in(&bench.work_dir)?,
        };
        for number in 0..VIEWERS {
            let args = ["logs", "-f", "--tail", "0", id];
            let mut command = docker::command(&bench.docker.host, &args).into_std();
            let output = File::create(viewers.dir.path().join(number.to_string()))?;
            let child = command.stdout(output).stderr(Stdio::null()).spawn();
            viewers.children.push(child.context("cannot run docker")?);
        }
        Ok(viewers)
    }

    async fn wait_for_output(&self) -> Result<()> {
        let limit = tokio::time::Instant::now() + MEASUREMENT * 6;
        while self.bytes()?.contains(&0) {
            ensure!(
                tokio::time::Instant::now() < limit,
                "docker logs printed nothing"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn bytes(&self) -> Result<Vec<u64>> {
        let files = (0..VIEWERS).map(|number| self.dir.path().join(number.to_string()));
        files.map(|file| Ok(file.metadata()?.len())).collect()
    }

    fn cpu_seconds(&self) -> Result<f64> {
        let seconds = self.children.iter().map(|child| {
            let stat = Process::new(i32::try_from(child.id())?)?.stat()?;
            #[expect(clippy::cast_precision_loss, reason = "clock ticks of seconds")]
            Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
        });
        seconds.sum()
    }
}

/// Row 12: the latency of viewers beside one that does not read.
pub(crate) async fn stalled(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let id = bench.docker.run(LONG_LINES).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;
    let (mut alone, mut beside) = (SampleSet::default(), SampleSet::default());
    for _ in 0..bench.rounds {
        alone.extend(latencies(&daemon, &id).await?);
        // The same number of viewers, of which this one never reads.
        let stalled = daemon
            .open_log_as(LogFormat::BinaryEntries, &id, "tail=0")
            .await?;
        tokio::time::sleep(STALL).await;
        beside.extend(latencies(&daemon, &id).await?);
        drop(stalled);
    }
    for (measure, share, bar) in [
        (
            "10 viewers of one container, 1 MB/s, engine's time → client, beside a stalled viewer ÷ without it, p50",
            0.5,
            "none",
        ),
        ("the same, p99", 0.99, "≤ 1.2"),
    ] {
        let (ours, without) = (beside.percentile(share), alone.percentile(share));
        table.add(
            measure,
            milliseconds(ours),
            format!("{} (without)", milliseconds(without)),
            ratio(ours, without),
            bar,
        );
    }
    daemon.stop().await?;
    bench.docker.clear().await
}

/// Returns how much later than the engine's time each entry was received.
async fn latencies(daemon: &BenchmarkDaemon, id: &str) -> Result<SampleSet> {
    let opening = (0..HEALTHY).map(|_| daemon.open_log_as(LogFormat::BinaryEntries, id, "tail=0"));
    let mut tasks = JoinSet::new();
    for socket in try_join_all(opening).await? {
        tasks.spawn(read_latencies(socket));
    }
    let mut samples = SampleSet::default();
    while let Some(read) = tasks.join_next().await {
        samples.extend(read??);
    }
    Ok(samples)
}

async fn read_latencies(mut socket: LogSocket) -> Result<SampleSet> {
    let mut samples = SampleSet::default();
    while samples.len() < ENTRIES {
        let message = socket.next().await.context("the log ended")??;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        if let Message::Binary(message) = message {
            for entry in log_format::binary_entries(&message)? {
                let time = Duration::from_nanos(u64::try_from(entry.time)?);
                samples.add_time(now.saturating_sub(time));
            }
        }
    }
    Ok(samples)
}
