//! The latency from a log line to its reader.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use crate::BenchmarkConfig;
use crate::daemon::{BenchmarkDaemon, LogSocket};
use crate::docker;
use crate::report::{BenchmarkReport, milliseconds};
use crate::stats::SampleSet;

const LINES: usize = 1000;
/// The interval between lines, in microseconds.
const LINE_INTERVAL_MICROS: u32 = 10_000;
/// The number of lines that readers may miss while they connect.
const WARM_UP: usize = 100;

/// Row 6: the lines of one container, read by both programs at the same time.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let script =
        format!("i=0; while :; do echo $i; i=$((i+1)); usleep {LINE_INTERVAL_MICROS}; done");
    let id = bench.docker.run(&script).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;

    let mut rival = docker::command(&bench.docker.host, &["logs", "-f", "--tail", "0", &id]);
    let mut rival = rival.stdout(Stdio::piped()).spawn()?;
    let rival_out = rival.stdout.take().context("no standard output")?;
    let (to_ours, ours) = mpsc::channel(LINES);
    let (to_rival, theirs) = mpsc::channel(LINES);
    let log = daemon.open_log(&id, "tail=0").await?;
    let readers = [
        tokio::spawn(read_socket(log, to_ours)),
        tokio::spawn(read_command(BufReader::new(rival_out), to_rival)),
    ];
    let (ours, theirs) = tokio::join!(collect(ours), collect(theirs));
    for reader in readers {
        reader.abort();
    }
    rival.kill().await?;

    let mut difference = SampleSet::default();
    for (line, at) in &ours {
        if let Some(rival) = theirs.get(line) {
            let later = at.saturating_duration_since(*rival).as_secs_f64();
            let earlier = rival.saturating_duration_since(*at).as_secs_f64();
            difference.add(later - earlier);
        }
    }
    for (measure, share, bar) in [
        (
            "log line → WebSocket client − the same line at `docker logs -f`, p50",
            0.5,
            "none",
        ),
        ("the same, p99", 0.99, "≤ 0.5 ms"),
    ] {
        table.add(
            measure,
            milliseconds(difference.percentile(share)),
            "0 (`docker logs -f`)",
            "–",
            bar,
        );
    }
    daemon.stop().await?;
    bench.docker.clear().await
}

/// Returns when each line was received, without the first [`WARM_UP`] lines.
async fn collect(mut lines: mpsc::Receiver<(Instant, String)>) -> HashMap<String, Instant> {
    let mut seen = HashMap::new();
    let mut number = 0;
    while number < WARM_UP + LINES
        && let Ok(Some((at, line))) =
            tokio::time::timeout(Duration::from_secs(10), lines.recv()).await
    {
        number += 1;
        if number > WARM_UP {
            seen.insert(line, at);
        }
    }
    seen
}

async fn read_socket(mut log: LogSocket, lines: mpsc::Sender<(Instant, String)>) -> Result<()> {
    let mut buffer = Vec::new();
    while let Some(message) = log.next().await {
        let at = Instant::now();
        buffer.extend_from_slice(&message?.into_data());
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.send((at, line)).await?;
        }
    }
    Ok(())
}

async fn read_command(
    reader: BufReader<tokio::process::ChildStdout>,
    lines: mpsc::Sender<(Instant, String)>,
) -> Result<()> {
    let mut reader = reader.lines();
    while let Some(line) = reader.next_line().await? {
        lines.send((Instant::now(), line)).await?;
    }
    Ok(())
}
