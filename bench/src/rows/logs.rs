//! The throughput of a log.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::BenchmarkConfig;
use crate::daemon::BenchmarkDaemon;
use crate::docker::{self, CommandTimes};
use crate::fake_log_server::{self, FakeLogServer};
use crate::log_format::{self, LogFormat};
use crate::report::{BenchmarkReport, ratio};
use crate::stats::SampleSet;

const MIB: u64 = 1024 * 1024;
const FAKE_LOG: u64 = 1024 * MIB;
const REAL_LOG: u64 = 64 * MIB;
/// The number of bytes per line of the real log, including its end.
const LINE: u64 = 100;

/// Rows 1, 1b, and 4: a fake engine, so that only the readers are compared.
pub(crate) async fn fake(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let dir = tempfile::tempdir_in(&bench.work_dir)?;
    let socket = dir.path().join("engine.sock");
    let _engine = FakeLogServer::start(&socket, FAKE_LOG)?;
    let host = format!("unix://{}", socket.display());
    let bytes = FakeLogServer::log_bytes(FAKE_LOG);
    let measured = compare(bench, &host, fake_log_server::ID, bytes).await?;
    measured.add_to(
        table,
        "1 GiB of 100-byte lines, fake engine, WebSocket ÷ `docker logs >/dev/null`",
        "rate ≥ 5",
        "≤ 0.15",
    );
    let docker = measured.docker.median();
    let formats = compare_formats(bench, &socket, &host, bytes).await?;
    for (measure, seconds, rival, bar) in [
        (
            "the same ÷ the bare socket, nothing decoded",
            measured.socket.median(),
            formats.bare.median(),
            "≥ 0.25",
        ),
        (
            "the same as binary entries ÷ `docker logs >/dev/null`",
            formats.binary.median(),
            docker,
            "≥ 250 MiB/s",
        ),
        (
            "the same as JSON entries ÷ `docker logs >/dev/null`",
            formats.json.median(),
            docker,
            "≥ 120 MiB/s",
        ),
    ] {
        table.add(
            measure,
            rate(bytes, seconds),
            rate(bytes, rival),
            ratio(rival, seconds),
            bar,
        );
    }
    Ok(())
}

/// Rows 3 and 4: the real engine.
pub(crate) async fn real(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let lines = REAL_LOG / LINE;
    let text = "x".repeat(usize::try_from(LINE)? - 1);
    let id = bench
        .docker
        .run_to_exit(&format!("yes {text} | head -n {lines}"))
        .await?;
    let bytes = bench.docker.log_bytes(&id).await?;
    ensure!(
        bytes == lines * LINE,
        "the engine stored {bytes} bytes of the log"
    );
    let host = bench.docker.host.clone();
    let measured = compare(bench, &host, &id, bytes).await?;
    measured.add_to(
        table,
        "64 MiB of 100-byte lines, real engine, WebSocket ÷ `docker logs >/dev/null`",
        "rate ≥ 1.3",
        "≤ 0.5",
    );
    bench.docker.clear().await
}

/// The seconds of each program that reads the same log.
#[derive(Default)]
struct LogTimings {
    bytes: u64,
    socket: SampleSet,
    socket_cpu: SampleSet,
    command: SampleSet,
    docker: SampleSet,
    docker_cpu: SampleSet,
}

impl LogTimings {
    fn add_to(&self, table: &mut BenchmarkReport, measure: &str, bar: &str, cpu_bar: &str) {
        let docker = self.docker.median();
        table.add(
            measure,
            rate(self.bytes, self.socket.median()),
            rate(self.bytes, docker),
            ratio(docker, self.socket.median()),
            bar,
        );
        table.add(
            "the same, `rdd logs >/dev/null` ÷ `docker logs >/dev/null`",
            rate(self.bytes, self.command.median()),
            rate(self.bytes, docker),
            ratio(docker, self.command.median()),
            "none",
        );
        table.add(
            "the same, CPU seconds of the daemon ÷ of the docker command",
            format!("{:.2} s", self.socket_cpu.median()),
            format!("{:.2} s", self.docker_cpu.median()),
            ratio(self.socket_cpu.median(), self.docker_cpu.median()),
            cpu_bar,
        );
    }
}

/// Reads the same log with each program in turn, so that other load on the machine
/// affects all of them.
async fn compare(bench: &BenchmarkConfig, host: &str, id: &str, bytes: u64) -> Result<LogTimings> {
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), host).await?;
    let mut measured = LogTimings {
        bytes,
        ..Default::default()
    };
    for _ in 0..bench.rounds {
        let cpu = daemon.cpu_seconds()?;
        let begun = Instant::now();
        let received = read_socket(&daemon, LogFormat::Bytes, id).await?;
        measured.socket.add_time(begun.elapsed());
        measured.socket_cpu.add(daemon.cpu_seconds()? - cpu);
        ensure!(received == bytes, "received {received} of {bytes} bytes");

        let CommandTimes { wall, cpu } =
            docker::time_command(docker::command(host, &["logs", id])).await?;
        measured.docker.add_time(wall);
        measured.docker_cpu.add(cpu);

        let mut command = Command::new(&bench.rdd);
        command
            .args(["logs", id, "--state-dir"])
            .arg(state.path())
            .stdout(std::process::Stdio::null());
        measured
            .command
            .add_time(docker::time_command(command).await?.wall);
    }
    daemon.stop().await?;
    Ok(measured)
}

/// The seconds for the same log in other forms.
#[derive(Default)]
struct FormatTimings {
    bare: SampleSet,
    binary: SampleSet,
    json: SampleSet,
}

/// Reads the same log as entries, and from the engine's socket, in turn.
async fn compare_formats(
    bench: &BenchmarkConfig,
    socket: &Path,
    host: &str,
    bytes: u64,
) -> Result<FormatTimings> {
    let state = tempfile::tempdir_in(&bench.work_dir)?;
    let daemon = BenchmarkDaemon::start(&bench.rdd, state.path(), host).await?;
    let mut measured = FormatTimings::default();
    for _ in 0..bench.rounds {
        let begun = Instant::now();
        read_raw(socket, fake_log_server::ID, false).await?;
        measured.bare.add_time(begun.elapsed());
        for (format, seconds) in [
            (LogFormat::BinaryEntries, &mut measured.binary),
            (LogFormat::JsonEntries, &mut measured.json),
        ] {
            let begun = Instant::now();
            let received = read_socket(&daemon, format, fake_log_server::ID).await?;
            seconds.add_time(begun.elapsed());
            ensure!(received == bytes, "received {received} of {bytes} bytes");
        }
    }
    daemon.stop().await?;
    Ok(measured)
}

/// Returns the number of bytes that the container wrote.
async fn read_socket(daemon: &BenchmarkDaemon, format: LogFormat, id: &str) -> Result<u64> {
    let mut log = daemon.open_log_as(format, id, "follow=false").await?;
    let mut received = 0;
    while let Some(message) = log.next().await {
        received += match message? {
            Message::Binary(bytes) => match format {
                LogFormat::BinaryEntries => {
                    let entries = log_format::binary_entries(&bytes)?;
                    entries.iter().map(|entry| entry.bytes).sum()
                }
                _ => bytes.len() as u64,
            },
            Message::Text(text) => log_format::json_bytes(&text)?,
            Message::Close(frame) => {
                let code = frame.context("the log ended without a close code")?.code;
                ensure!(u16::from(code) == 1000, "the log ended with {code}");
                0
            }
            _ => 0,
        };
    }
    Ok(received)
}

/// Reads and discards the response of the fake engine, to measure the socket.
pub(super) async fn read_raw(socket: &Path, id: &str, timestamps: bool) -> Result<()> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let timestamps = if timestamps { "&timestamps=1" } else { "" };
    let uri = format!("/containers/{id}/logs?stdout=1&stderr=1{timestamps}");
    let request = http::Request::get(uri)
        .header("host", "docker")
        .body(Empty::<bytes::Bytes>::new())?;
    let mut body = sender.send_request(request).await?.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    connection.abort();
    Ok(())
}

pub(super) fn rate(bytes: u64, seconds: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mib = bytes as f64 / MIB as f64;
    format!("{:.1} MiB/s", mib / seconds)
}
