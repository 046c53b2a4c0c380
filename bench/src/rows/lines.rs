//! How long a line takes to its reader.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use crate::Bench;
use crate::daemon::{Daemon, Log};
use crate::docker;
use crate::stats::Sample;
use crate::table::{Table, ms};

const LINES: usize = 1000;
/// Lines come this often, once both readers follow.
const PACE_MICROS: u32 = 10_000;
/// Lines that the readers may miss because they are still connecting.
const WARM_UP: usize = 100;

/// Row 6: one container's lines, read by both at once.
pub(crate) async fn run(bench: &Bench, table: &mut Table) -> Result<()> {
    let script = format!("i=0; while :; do echo $i; i=$((i+1)); usleep {PACE_MICROS}; done");
    let id = bench.docker.run(&script).await?;
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = Daemon::start(&bench.rdd, state.path(), &bench.docker.host).await?;

    let mut rival = docker::command(&bench.docker.host, &["logs", "-f", "--tail", "0", &id]);
    let mut rival = rival.stdout(Stdio::piped()).spawn()?;
    let rival_out = rival.stdout.take().context("no standard output")?;
    let (to_ours, ours) = mpsc::channel(LINES);
    let (to_rival, theirs) = mpsc::channel(LINES);
    let log = daemon.log(&id, "tail=0").await?;
    let readers = [
        tokio::spawn(read_socket(log, to_ours)),
        tokio::spawn(read_command(BufReader::new(rival_out), to_rival)),
    ];
    let (ours, theirs) = tokio::join!(collect(ours), collect(theirs));
    for reader in readers {
        reader.abort();
    }
    rival.kill().await?;

    let mut difference = Sample::default();
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
        ("the same, p99", 0.99, "≤ 3 ms"),
    ] {
        table.add(
            measure,
            ms(difference.percentile(share)),
            "0 (`docker logs -f`)",
            "–",
            bar,
        );
    }
    daemon.stop().await?;
    bench.docker.clear().await
}

/// When each line came, the first of them left out.
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

async fn read_socket(mut log: Log, lines: mpsc::Sender<(Instant, String)>) -> Result<()> {
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
