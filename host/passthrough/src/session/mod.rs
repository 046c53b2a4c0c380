//! A log session: one log on one WebSocket, from the upgrade to the close.

mod closing;

use std::borrow::Cow;

use futures::{SinkExt as _, Stream, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rdd_core::{
    EngineError, ErrorCode, LogStream, OutputChunk, OutputSource, ServingSnapshot, ServingState,
    UnavailableReason,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::sync::CancellationToken;

use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::peer_connection::PeerConnection;
use crate::upgrade_request::FrameFormat;

/// The log of a session, and the signals that end it.
pub(crate) struct LogSession {
    /// The log stream of the engine.
    pub(crate) logs: LogStream,
    /// The format of data frames.
    pub(crate) frame_format: FrameFormat,
    /// The backend that provides the log.
    pub(crate) backend: String,
    /// The selected backend, and whether the App is running.
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    /// Cancelled when the daemon shuts down.
    pub(crate) shutdown: CancellationToken,
}

/// Why a session ends.
#[derive(Debug)]
enum CloseReason {
    /// The container stopped, or the log is not followed.
    LogEnded,
    /// The engine or the backend failed.
    EngineFailed(EngineError),
    /// The App was stopped, another backend was selected, the backend is no
    /// longer usable, or the daemon shuts down.
    ServingLost(&'static str),
    /// The peer sent a close frame first.
    PeerClosed,
    /// The connection was lost, or the peer does not respond.
    PeerLost(Error),
    /// The peer violated the protocol or a limit.
    PeerViolation(CloseCode, &'static str),
}

impl LogSession {
    /// Forwards the log until either side ends.
    pub(crate) async fn run(self, upgraded: Upgraded) {
        // The inner connection reports the delivery state, `Upgraded` does not.
        match rdd_gateway::into_tls_connection(upgraded) {
            Ok((connection, read)) => self.run_on(connection, read).await,
            Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => self.run_on(parts.io.into_inner(), parts.read_buf).await,
                Err(upgraded) => self.run_on(TokioIo::new(upgraded), Bytes::new()).await,
            },
        }
    }

    /// Runs the session on `connection`. `read` are the bytes that were already
    /// received after the request.
    async fn run_on<T>(self, connection: T, read: Bytes)
    where
        T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
    {
        let Self {
            logs,
            frame_format,
            backend,
            mut serving,
            shutdown,
        } = self;
        let mut messages =
            logs.map(move |chunk| chunk.map(|chunk| encode_chunk(frame_format, chunk)));
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::MAX_INBOUND_MESSAGE))
            .max_frame_size(Some(limits::MAX_INBOUND_MESSAGE))
            .read_buffer_size(limits::MAX_INBOUND_MESSAGE)
            .write_buffer_size(limits::WRITE_BUFFER_SIZE)
            .max_write_buffer_size(limits::MAX_SESSION_BUFFER);
        let socket = WebSocketStream::from_partially_read(
            PeerConnection::new(connection),
            read.into(),
            Role::Server,
            Some(config),
        )
        .await;
        let (mut sink, mut stream) = socket.split();
        let reason = tokio::select! {
            reason = forward_log(&mut sink, &mut messages) => reason,
            reason = read_peer(&mut stream) => reason,
            reason = serving_lost(&mut serving, &backend) => reason,
            () = shutdown.cancelled() => CloseReason::ServingLost("the daemon is shutting down"),
        };
        // Close the engine's stream first, so that the closing handshake with a
        // slow peer does not keep it open.
        drop(messages);
        if let CloseReason::PeerLost(error) = reason {
            tracing::debug!(%error, "log session ended: peer lost");
            return;
        }
        tracing::debug!(?reason, "log session ended");
        // Both halves are of the same socket.
        let Ok(socket) = sink.reunite(stream) else {
            return;
        };
        tokio::select! {
            closed = closing::close(socket, close_frame(reason)) => match closed {
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "peer lost during the closing handshake"),
            },
            () = drain_timeout(&shutdown) => tracing::debug!("the peer did not answer the close frame"),
        }
    }
}

/// Resolves [`limits::DRAIN_TIMEOUT`] after the daemon begins to shut down.
async fn drain_timeout(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(limits::DRAIN_TIMEOUT).await;
}

/// Encodes a chunk in the format that the client selected.
fn encode_chunk(frame_format: FrameFormat, chunk: OutputChunk) -> Message {
    Message::Binary(match frame_format {
        FrameFormat::Raw => chunk.bytes,
        FrameFormat::WithSource => {
            let source = match chunk.source {
                OutputSource::Stdout => 1,
                OutputSource::Stderr => 2,
            };
            let mut frame = Vec::with_capacity(1 + chunk.bytes.len());
            frame.push(source);
            frame.extend_from_slice(&chunk.bytes);
            frame.into()
        }
    })
}

/// Forwards the log to the peer, with backpressure on the engine.
async fn forward_log<S, L>(sink: &mut S, logs: &mut L) -> CloseReason
where
    S: futures::Sink<Message, Error = Error> + Unpin,
    L: Stream<Item = Result<Message, EngineError>> + Unpin,
{
    let mut ping = Instant::now() + limits::PING_INTERVAL;
    loop {
        let sent = tokio::select! {
            // A log without pauses must not delay the pings.
            biased;
            () = sleep_until(ping) => {
                ping = Instant::now() + limits::PING_INTERVAL;
                sink.send(Message::Ping(Bytes::new())).await.map(|()| None)
            }
            message = logs.next() => match message {
                // Gather frames as long as more are ready, then flush.
                Some(Ok(message)) => match sink.feed(message).await {
                    Ok(()) => feed_available(sink, logs, ping).await,
                    Err(error) => Err(error),
                },
                Some(Err(error)) => return CloseReason::EngineFailed(error),
                None => return CloseReason::LogEnded,
            },
        };
        match sent {
            Ok(None) => {}
            Ok(Some(end)) => return end,
            Err(error) => return CloseReason::PeerLost(error),
        }
    }
}

/// Feeds the messages that are ready until a ping is due, then flushes. Returns
/// the reason if the log ended.
async fn feed_available<S, L>(
    sink: &mut S,
    logs: &mut L,
    ping: Instant,
) -> Result<Option<CloseReason>, Error>
where
    S: futures::Sink<Message, Error = Error> + Unpin,
    L: Stream<Item = Result<Message, EngineError>> + Unpin,
{
    let mut end = None;
    while Instant::now() < ping {
        match futures::FutureExt::now_or_never(logs.next()) {
            Some(Some(Ok(message))) => sink.feed(message).await?,
            Some(Some(Err(error))) => end = Some(CloseReason::EngineFailed(error)),
            Some(None) => end = Some(CloseReason::LogEnded),
            None => break,
        }
        if end.is_some() {
            break;
        }
    }
    sink.flush().await?;
    Ok(end)
}

/// Reads from the peer. The library answers control frames; all other messages
/// are discarded, so that the connection stays readable.
async fn read_peer<S>(stream: &mut S) -> CloseReason
where
    S: futures::Stream<Item = Result<Message, Error>> + Unpin,
{
    loop {
        match stream.next().await {
            Some(Ok(Message::Close(_))) => return CloseReason::PeerClosed,
            Some(Ok(_)) => {}
            Some(Err(error)) => return classify_read_error(error),
            None => return CloseReason::PeerLost(Error::ConnectionClosed),
        }
    }
}

/// Converts a read error to the reason to close.
fn classify_read_error(error: Error) -> CloseReason {
    match error {
        Error::Capacity(_) => CloseReason::PeerViolation(
            CloseCode::Size,
            "messages to this endpoint are limited to 4096 bytes",
        ),
        Error::Utf8(_) => CloseReason::PeerViolation(CloseCode::Invalid, "text must be UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            CloseReason::PeerLost(error)
        }
        Error::Protocol(_) => {
            CloseReason::PeerViolation(CloseCode::Protocol, "WebSocket protocol violation")
        }
        _ => CloseReason::PeerLost(error),
    }
}

/// Resolves when the user stops the App or selects another backend. An
/// unreachable engine does not count: it closes its own streams.
async fn serving_lost(
    serving: &mut watch::Receiver<ServingSnapshot>,
    backend: &str,
) -> CloseReason {
    let is_lost = |snapshot: &ServingSnapshot| {
        snapshot.backend != backend
            || matches!(
                snapshot.serving,
                ServingState::Unavailable(
                    UnavailableReason::Stopped | UnavailableReason::BackendNotInstalled { .. }
                )
            )
    };
    let reason = serving.wait_for(is_lost).await.map(|snapshot| {
        if snapshot.backend != backend {
            return "another backend was selected";
        }
        match snapshot.serving {
            ServingState::Unavailable(UnavailableReason::Stopped) => {
                "the container engine was stopped"
            }
            _ => "the backend is no longer usable",
        }
    });
    match reason {
        Ok(reason) => CloseReason::ServingLost(reason),
        // The reconciler has ended, so the daemon shuts down.
        Err(_) => std::future::pending().await,
    }
}

/// Returns the close frame to send. `None` if the peer closed first, since the
/// library has queued the answer, or if the peer is lost.
fn close_frame(reason: CloseReason) -> Option<CloseFrame> {
    let (code, text): (CloseCode, Cow<'static, str>) = match reason {
        CloseReason::LogEnded => (CloseCode::Normal, "the log ended".into()),
        CloseReason::ServingLost(text) => (CloseCode::Away, text.into()),
        CloseReason::EngineFailed(error) => {
            let code = match error.code {
                ErrorCode::Unavailable | ErrorCode::Timeout => CloseCode::Again,
                _ => CloseCode::Error,
            };
            (code, error.message.into())
        }
        CloseReason::PeerViolation(code, text) => (code, text.into()),
        CloseReason::PeerClosed | CloseReason::PeerLost(_) => return None,
    };
    Some(CloseFrame {
        code,
        reason: rdd_core::text::truncate(&text, limits::MAX_CLOSE_REASON).into(),
    })
}

#[cfg(test)]
mod tests;
