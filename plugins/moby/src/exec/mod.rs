//! Processes in containers (`exec`).
//!
//! The engine creates a process, then starts it on a connection that becomes a
//! raw stream in both directions, and reports the exit code on request. Output,
//! input, and the sizes of the terminal are copied concurrently. The end of the
//! output ends the copying; the process may live longer.

mod failed_start;

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, join, pending, select};
use rdd_sdk::demux::LogDemuxer;
use rdd_sdk::http::{HttpRequest, Method, UpgradedReader, UpgradedWriter};
use rdd_sdk::types::{Error, ErrorCode, ExecOptions, OutputChunk, OutputSource, TerminalSize};
use rdd_sdk::{ExecInput, InputStream, OutputResponder, OutputSink};
use serde::{Deserialize, Serialize};

use crate::backend::MobyBackend;
use crate::client::parse;
use crate::url;
use failed_start::{
    NOT_EXECUTABLE, NOT_FOUND, code_of_failed_start, code_of_refused_start, concat,
    is_message_so_far,
};

/// The first and the longest time between two requests for the exit code of a
/// process that has closed its output.
const MIN_POLL_DELAY: Duration = Duration::from_millis(20);
const MAX_POLL_DELAY: Duration = Duration::from_secs(1);

/// How often a new size is sent to a process that the engine is still starting,
/// and the time between.
const RESIZE_ATTEMPTS: u32 = 50;
const RESIZE_DELAY: Duration = Duration::from_millis(20);

/// The body of the request that creates a process.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExecConfig {
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    cmd: Vec<String>,
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

/// The body of the request that starts a process.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExecStartConfig {
    detach: bool,
    tty: bool,
}

#[derive(Deserialize)]
struct CreatedExec {
    #[serde(rename = "Id")]
    id: String,
}

/// The state of a process.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecState {
    #[serde(default)]
    running: bool,
    exit_code: Option<i32>,
    #[serde(default, rename = "ContainerID")]
    container_id: String,
}

/// Runs a process and returns its exit code.
pub(crate) async fn run(
    moby: &MobyBackend,
    container: &str,
    options: ExecOptions,
    input: ExecInput,
    responder: OutputResponder,
) -> Result<i32, Error> {
    let is_attached = options.stdin || options.stdout || options.stderr;
    let (tty, has_stdin, has_stderr) = (options.tty, options.stdin, options.stderr);
    let exec = create(moby, container, options).await?;
    let path = format!("/exec/{exec}/start");
    let start = |request: HttpRequest| {
        let config = ExecStartConfig {
            detach: !is_attached,
            tty,
        };
        request.json(to_json(&config))
    };
    if !is_attached {
        moby.client
            .send(&path, |path| start(HttpRequest::new(Method::POST, path)))
            .await?;
        drop(responder.accept());
        return wait_for_exit(moby, &exec).await;
    }
    let (reader, writer) = match moby.client.upgrade(&path, start).await {
        Ok(halves) => halves,
        Err((status, error)) => {
            let code = code_of_refused_start(status, &error).ok_or(error.clone())?;
            let source = if has_stderr {
                OutputSource::Stderr
            } else {
                OutputSource::Stdout
            };
            let message = OutputChunk {
                source,
                bytes: format!("{}\n", error.message).into_bytes(),
            };
            responder.accept().send(vec![message]).await?;
            return Ok(code);
        }
    };
    // An idle connection would use a file descriptor for as long as the process runs.
    moby.client.close_idle(0);
    let output = pin!(copy_output(reader, tty, responder.accept()));
    let ExecInput { stdin, resizes } = input;
    let input = async {
        join(
            copy_input(stdin, writer, has_stdin),
            copy_sizes(moby, &exec, resizes),
        )
        .await;
        // Only the end of the output ends the copying.
        pending::<()>().await;
    };
    let Either::Left((copied, _)) = select(output, pin!(input)).await else {
        // Unreachable: the input never ends the copying.
        return Err(Error::internal("the output was not copied"));
    };
    let CopiedOutput { mut sink, message } = copied?;
    let mut code = wait_for_exit(moby, &exec).await?;
    if message.is_empty() {
        return Ok(code);
    }
    // The engine writes its message to standard output.
    let mut source = OutputSource::Stdout;
    if code == NOT_EXECUTABLE || code == NOT_FOUND {
        code = code_of_failed_start(code, &concat(&message));
        if has_stderr {
            source = OutputSource::Stderr;
        }
    }
    let message = message
        .into_iter()
        .map(|chunk| OutputChunk { source, ..chunk });
    sink.send(message.collect()).await?;
    Ok(code)
}

/// The end of the output.
struct CopiedOutput {
    sink: OutputSink,
    /// The whole output, if it may be a message of the engine about a command that
    /// it cannot run. It was not sent.
    message: Vec<OutputChunk>,
}

/// Creates a process that is not started. Returns its ID.
async fn create(
    moby: &MobyBackend,
    container: &str,
    options: ExecOptions,
) -> Result<String, Error> {
    let ExecOptions {
        command,
        env,
        working_dir,
        user,
        tty,
        stdin,
        stdout,
        stderr,
    } = options;
    let config = ExecConfig {
        attach_stdin: stdin,
        attach_stdout: stdout,
        attach_stderr: stderr,
        tty,
        cmd: command,
        env: env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        working_dir,
        user,
    };
    let path = format!("/containers/{}/exec", url::container_id(container)?);
    let body = to_json(&config);
    let response = moby
        .client
        .send(&path, |path| {
            HttpRequest::new(Method::POST, path).json(body)
        })
        .await?;
    let CreatedExec { id } = parse(&response.body)?;
    let id = url::path_segment(&id);
    // The engine also accepts a name in place of an ID, so another container may
    // have been meant.
    if inspect(moby, &id).await?.container_id != container {
        return Err(Error::not_found(format!("no such container: {container}")));
    }
    Ok(id)
}

async fn inspect(moby: &MobyBackend, exec: &str) -> Result<ExecState, Error> {
    let path = format!("/exec/{exec}/json");
    let response = moby.client.send(&path, HttpRequest::get).await?;
    parse(&response.body)
}

/// Waits for the process to exit. Returns its exit code.
async fn wait_for_exit(moby: &MobyBackend, exec: &str) -> Result<i32, Error> {
    let mut delay = MIN_POLL_DELAY;
    loop {
        let state = inspect(moby, exec).await?;
        if !state.running
            && let Some(code) = state.exit_code
        {
            return Ok(code);
        }
        moby.host.sleep(delay).await;
        delay = delay.saturating_mul(2).min(MAX_POLL_DELAY);
    }
}

/// Copies the output to the host, which applies back-pressure.
async fn copy_output(
    mut reader: UpgradedReader,
    tty: bool,
    mut sink: OutputSink,
) -> Result<CopiedOutput, Error> {
    // What may be a message of the engine, as standard output, until the end of the
    // output or the next byte shows what it is.
    let mut message = Some(Vec::new());
    let mut demuxer = if tty {
        LogDemuxer::raw()
    } else {
        LogDemuxer::multiplexed()
    };
    loop {
        let mut pushed = Ok(());
        let more = reader.read(|bytes| pushed = demuxer.push(bytes)).await;
        let mut chunks = demuxer.take_chunks();
        if let Some(held) = &mut message {
            let can_be_message = chunks.iter().all(|it| it.source == OutputSource::Stdout);
            held.append(&mut chunks);
            if !can_be_message || !is_message_so_far(held) {
                chunks.append(held);
                message = None;
            }
        }
        sink.send(chunks).await?;
        pushed?;
        if !more? {
            demuxer.finish()?;
            return Ok(CopiedOutput {
                sink,
                message: message.unwrap_or_default(),
            });
        }
    }
}

/// Copies the standard input to the process. A process that accepts no more
/// input goes on, so an error only ends the copying; dropping `stdin` tells the
/// host.
async fn copy_input(
    mut stdin: InputStream<bytes::Bytes>,
    mut writer: UpgradedWriter,
    has_stdin: bool,
) {
    while let Some(bytes) = stdin.next().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if has_stdin {
        // The end of the output reports a connection that failed.
        writer.shutdown().await.ok();
    }
    // The output goes on over the connection, which both halves keep open.
    pending::<()>().await;
}

/// Sends the sizes of the terminal to the engine.
async fn copy_sizes(moby: &MobyBackend, exec: &str, mut resizes: InputStream<TerminalSize>) {
    while let Some(TerminalSize { columns, rows }) = resizes.next().await {
        let size = [("h", rows.to_string()), ("w", columns.to_string())];
        let path = url::with_query(&format!("/exec/{exec}/resize"), size);
        for _ in 0..RESIZE_ATTEMPTS {
            // The engine rejects it until the process runs, and after it exited.
            match moby.client.post(&path).await {
                Err(error) if is_not_running_yet(&error) => {
                    moby.host.sleep(RESIZE_DELAY).await;
                }
                _ => break,
            }
        }
        // Each size is sent on a new connection.
        moby.client.close_idle(0);
    }
}

fn is_not_running_yet(error: &Error) -> bool {
    matches!(
        error.code,
        ErrorCode::Conflict | ErrorCode::Internal | ErrorCode::InvalidArgument
    )
}

/// Serializes a request. Its fields are strings and flags, which always works.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
