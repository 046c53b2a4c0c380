//! Exchanges the input and output of a process with the daemon.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::process_status::ProcessOutcome;
use super::raw_terminal::window_size;
use super::standard_input::InputReceiver;

/// Kubernetes' channels.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Closes the channel that is named in the content.
const CLOSE: u8 = 255;

/// The interval of unsolicited pongs, the same as that of the daemon's pings, which
/// wait unread behind the output while that is not printed.
const PONG_INTERVAL: Duration = Duration::from_secs(10);

/// How long the daemon may take to close the connection after both close frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The sizes of this terminal: the first one, then one after each change.
pub(super) struct TerminalResizes {
    changes: Signal,
    is_first: bool,
}

impl TerminalResizes {
    /// Watches the terminal.
    pub(super) fn watch() -> Result<Self> {
        let changes =
            signal(SignalKind::window_change()).context("cannot catch changes of the terminal")?;
        Ok(Self {
            changes,
            is_first: true,
        })
    }

    /// Returns the next size in columns and rows. Pending without a terminal.
    async fn next(&mut self) -> (u16, u16) {
        loop {
            if !std::mem::take(&mut self.is_first) {
                self.changes.recv().await;
            }
            if let Some(size) = window_size() {
                return size;
            }
        }
    }
}

/// Exchanges messages until the process ends. Output is queued for printing with
/// its channel, 1 or 2, as the first byte.
///
/// # Errors
///
/// Fails if standard input cannot be read.
pub(super) async fn run<S>(
    socket: S,
    input: Option<InputReceiver>,
    resizes: Option<TerminalResizes>,
    output: mpsc::Sender<Bytes>,
) -> Result<ProcessOutcome>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error>,
{
    let (sink, stream) = socket.split();
    // Neither waits for the other: a process may write without reading.
    tokio::select! {
        outcome = receive(stream, output) => Ok(outcome),
        error = send(sink, input, resizes) => {
            Err(anyhow::Error::new(error).context("cannot read standard input"))
        }
    }
}

/// Sends input, sizes, and pongs. Returns only if the input cannot be read.
async fn send<S>(
    mut sink: S,
    mut input: Option<InputReceiver>,
    mut resizes: Option<TerminalResizes>,
) -> io::Error
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let mut pong = interval(PONG_INTERVAL);
    pong.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            // The first size precedes the input that depends on it.
            biased;
            size = next_size(&mut resizes) => {
                let (columns, rows) = size;
                let size = format!("{{\"Width\":{columns},\"Height\":{rows}}}");
                on_channel(RESIZE, size.as_bytes())
            }
            _ = pong.tick() => Message::Pong(Bytes::new()),
            piece = next_piece(&mut input) => match piece {
                Some(Ok(bytes)) => on_channel(STDIN, &bytes),
                Some(Err(error)) => return error,
                None => {
                    input = None;
                    on_channel(CLOSE, &[STDIN])
                }
            },
        };
        if sink.send(message).await.is_err() {
            // The receiver reports why, after the output that has arrived.
            return std::future::pending().await;
        }
    }
}

async fn next_size(resizes: &mut Option<TerminalResizes>) -> (u16, u16) {
    match resizes {
        Some(resizes) => resizes.next().await,
        None => std::future::pending().await,
    }
}

async fn next_piece(input: &mut Option<InputReceiver>) -> Option<io::Result<Bytes>> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

fn on_channel(channel: u8, content: &[u8]) -> Message {
    Message::binary([&[channel], content].concat())
}

/// Receives output as long as it can be queued. While it cannot, the daemon has to
/// wait.
async fn receive<S>(mut stream: S, output: mpsc::Sender<Bytes>) -> ProcessOutcome
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    let mut status = None;
    loop {
        let Ok(permit) = output.reserve().await else {
            return ProcessOutcome::PrinterGone;
        };
        let message = tokio::select! {
            message = stream.next() => message,
            () = output.closed() => return ProcessOutcome::PrinterGone,
        };
        match message {
            Some(Ok(Message::Binary(message))) => match message.split_first() {
                // The first message is empty.
                Some((&(STDOUT | STDERR), [_, ..])) => permit.send(message),
                // One that cannot be read is reported like a missing one, with the
                // reason of the close frame.
                Some((&ERROR, content @ [_, ..])) => status = serde_json::from_slice(content).ok(),
                _ => {}
            },
            Some(Ok(Message::Close(frame))) => {
                // Reading to the end also sends the library's answer.
                let end = async { while let Some(Ok(_)) = stream.next().await {} };
                timeout(CLOSE_TIMEOUT, end).await.ok();
                return match status {
                    Some(status) => ProcessOutcome::Ended(Box::new(status)),
                    None => ProcessOutcome::Closed(frame),
                };
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return lost(status, Some(error)),
            None => return lost(status, None),
        }
    }
}

/// Returns the outcome of a connection that was lost: a status is known already.
fn lost(
    status: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Status>,
    error: Option<Error>,
) -> ProcessOutcome {
    match status {
        Some(status) => ProcessOutcome::Ended(Box::new(status)),
        None => ProcessOutcome::ConnectionLost(error),
    }
}

#[cfg(test)]
mod tests;
