//! The session of a process: its input and output on one WebSocket, from the
//! upgrade to the close.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures::stream::{self, BoxStream};
use futures::{SinkExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use rdd_core::{EngineError, ErrorCode, ExecSession, OutputChunk, ServingSnapshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use super::channel_message;
use super::exec_status::ExecStatus;
use super::open_process::OpenProcess;
use super::process_input::ProcessInput;
use super::protocol::ExecProtocol;
use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::session::close_reason::{CloseReason, serving_lost};
use crate::session::connection::{self, SessionHandler, SessionSocket};

/// How many messages are read, and how many are sent, before the other direction and
/// other tasks get their turn.
const MAX_BURST: usize = 32;

/// The process of a session, and the signals that end it.
pub(crate) struct ProcessSession {
    pub(crate) process: OpenProcess,
    pub(crate) protocol: ExecProtocol,
    /// The backend that runs the process.
    pub(crate) backend: String,
    /// The selected backend, and whether the App is running.
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    /// Cancelled when the daemon shuts down.
    pub(crate) shutdown: CancellationToken,
}

impl SessionHandler for ProcessSession {
    /// Connects the process with the client until either ends.
    async fn run_on<T>(self, connection: T, read: Bytes)
    where
        T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin + Send,
    {
        let Self {
            process,
            protocol,
            backend,
            mut serving,
            shutdown,
        } = self;
        // Neither the command nor the variables, which may be secrets.
        tracing::info!("process started");
        let socket = connection::open_socket(
            connection,
            read,
            limits::MAX_EXEC_MESSAGE,
            limits::MAX_SESSION_BUFFER,
        )
        .await;
        let mut exchange = ProcessExchange::new(socket, process, protocol);
        let reason = tokio::select! {
            reason = poll_fn(|cx| exchange.poll(cx)) => reason,
            reason = serving_lost(&mut serving, &backend) => reason,
            () = shutdown.cancelled() => CloseReason::SHUTDOWN,
        };
        // Close the connection to the process first, so that the closing handshake
        // with a slow peer does not keep it open.
        let ProcessExchange { socket, .. } = exchange;
        connection::close(socket, reason, &shutdown).await;
    }
}

/// What a process sends.
enum OutputEvent {
    Chunk(OutputChunk),
    /// The exit code. Nothing follows.
    Exit(i32),
}

/// A process and its client, which are independent in both directions: a process
/// that does not read does not delay its output, and a client that does not read
/// does not delay the input.
///
/// Written as a poll function and not as two tasks, since a connection that is not
/// read has to be checked while it is written to.
struct ProcessExchange<T> {
    socket: SessionSocket<T>,
    protocol: ExecProtocol,
    input: ProcessInput,
    output: BoxStream<'static, Result<OutputEvent, EngineError>>,
    /// The message to send before the output.
    first: Option<Message>,
    /// Whether messages were handed to the socket and not written yet.
    is_unflushed: bool,
    ping: Interval,
    unread_check: Interval,
}

impl<T> ProcessExchange<T>
where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    fn new(socket: SessionSocket<T>, process: OpenProcess, protocol: ExecProtocol) -> Self {
        let OpenProcess { session, options } = process;
        let ExecSession {
            stdin,
            resizes,
            output,
            exit,
        } = session;
        Self {
            socket,
            protocol,
            input: ProcessInput::new(protocol, &options, stdin, resizes),
            output: output
                .map_ok(OutputEvent::Chunk)
                .chain(stream::once(exit.map_ok(OutputEvent::Exit)))
                .boxed(),
            first: channel_message::encode_start(protocol, options.stdout, options.stderr),
            is_unflushed: false,
            ping: every(limits::PING_INTERVAL),
            unread_check: every(limits::UNREAD_CHECK_INTERVAL),
        }
    }

    /// Ready when the session ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.poll_input(cx) {
            return Poll::Ready(reason);
        }
        self.poll_output(cx)
    }

    /// Reads from the client as long as the process takes what was read. The
    /// library answers control frames.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..MAX_BURST {
            if self.input.poll_pass_on(cx).is_pending() {
                return self.poll_unread(cx);
            }
            let message = match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Text(text))) => text.into(),
                Some(Ok(Message::Close(_))) => return Poll::Ready(CloseReason::PeerClosed),
                Some(Ok(_)) => continue,
                Some(Err(error)) => {
                    let max = limits::MAX_EXEC_MESSAGE;
                    return Poll::Ready(CloseReason::from_read_error(error, max));
                }
                None => {
                    let error = tokio_tungstenite::tungstenite::Error::ConnectionClosed;
                    return Poll::Ready(CloseReason::PeerLost(error));
                }
            };
            if let Err(error) = self.input.accept(message) {
                let text = error.to_string().into();
                return Poll::Ready(CloseReason::PeerViolation(CloseCode::Invalid, text));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Checks the client while it is not read.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        while self.unread_check.poll_tick(cx).is_ready() {
            if let Err(error) = self.socket.get_mut().check_unread() {
                return Poll::Ready(CloseReason::PeerLost(error.into()));
            }
        }
        Poll::Pending
    }

    /// Sends the output as long as the client takes it, and pings.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..MAX_BURST {
            if let Err(error) = ready!(self.socket.poll_ready_unpin(cx)) {
                return Poll::Ready(CloseReason::PeerLost(error));
            }
            let (message, end) = match self.poll_message(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return self.poll_flush(cx),
            };
            if let Some(message) = message {
                self.is_unflushed = true;
                if let Err(error) = self.socket.start_send_unpin(message) {
                    return Poll::Ready(CloseReason::PeerLost(error));
                }
            }
            if let Some(end) = end {
                return Poll::Ready(end);
            }
        }
        cx.waker().wake_by_ref();
        self.poll_flush(cx)
    }

    /// Returns the next message, and the reason if it is the last one.
    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(Option<Message>, Option<CloseReason>)> {
        if let Some(first) = self.first.take() {
            return Poll::Ready((Some(first), None));
        }
        // Output without pauses must not delay the pings.
        if self.ping.poll_tick(cx).is_ready() {
            return Poll::Ready((Some(Message::Ping(Bytes::new())), None));
        }
        let status =
            |status: &ExecStatus| channel_message::encode_status(self.protocol, &status.to_json());
        Poll::Ready(match ready!(self.output.poll_next_unpin(cx)) {
            Some(Ok(OutputEvent::Chunk(chunk))) => {
                let message = channel_message::encode_output(self.protocol, chunk);
                (Some(message), None)
            }
            Some(Ok(OutputEvent::Exit(code))) => (
                status(&ExecStatus::exited(code)),
                Some(CloseReason::ProcessExited(code)),
            ),
            Some(Err(error)) => (
                status(&ExecStatus::failed(&error)),
                Some(CloseReason::EngineFailed(error)),
            ),
            None => {
                let message = "the process ended without an exit code";
                let error = EngineError::new(ErrorCode::Internal, message);
                (None, Some(CloseReason::EngineFailed(error)))
            }
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.is_unflushed {
            if let Err(error) = ready!(self.socket.poll_flush_unpin(cx)) {
                return Poll::Ready(CloseReason::PeerLost(error));
            }
            self.is_unflushed = false;
        }
        Poll::Pending
    }
}

/// Returns an interval whose first tick is after one period.
fn every(period: std::time::Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests;
