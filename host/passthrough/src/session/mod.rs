//! One log on one WebSocket, from the upgrade to the close.

mod closing;

use std::borrow::Cow;

use futures::{SinkExt as _, Stream, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rdd_core::{
    EngineError, ErrorCode, LogChunk, LogSource, LogStream, ServingSnapshot, ServingState,
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

use crate::delivery::Transport;
use crate::limits;
use crate::peer::PeerConnection;
use crate::upgrade::Framing;

/// What a session carries, and what may end it from outside.
pub(crate) struct Session {
    /// The engine's side.
    pub(crate) logs: LogStream,
    /// What a frame holds.
    pub(crate) framing: Framing,
    /// The backend that gives the log.
    pub(crate) backend: String,
    /// Which backend is chosen, and whether the App runs.
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    /// Cancelled when the daemon ends.
    pub(crate) drain: CancellationToken,
}

/// How a session ended.
#[derive(Debug)]
enum End {
    /// The container stopped, or nothing was to be followed.
    LogEnded,
    /// The engine or the plugin failed.
    Failed(EngineError),
    /// The App was stopped, its backend is no more, or another one was chosen.
    Away(&'static str),
    /// The peer sent a close frame first.
    PeerClosed,
    /// The peer's connection broke, or the peer gave no sign of life.
    PeerLeft(Error),
    /// The peer sent something that does not belong here.
    PeerMisbehaved(CloseCode, &'static str),
}

impl Session {
    /// Carries the log until either side ends.
    pub(crate) async fn run(self, upgraded: Upgraded) {
        // The connection itself tells more than its wrapping does.
        match rdd_gateway::into_connection(upgraded) {
            Ok((connection, read)) => self.run_on(connection, read).await,
            Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => self.run_on(parts.io.into_inner(), parts.read_buf).await,
                Err(upgraded) => self.run_on(TokioIo::new(upgraded), Bytes::new()).await,
            },
        }
    }

    /// `read` was received already, and follows the request.
    async fn run_on<T>(self, connection: T, read: Bytes)
    where
        T: AsyncRead + AsyncWrite + Transport + Unpin,
    {
        let Self {
            logs,
            framing,
            backend,
            mut serving,
            drain,
        } = self;
        let mut messages = logs.map(move |chunk| chunk.map(|chunk| message(framing, chunk)));
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::INBOUND_MESSAGE))
            .max_frame_size(Some(limits::INBOUND_MESSAGE))
            .read_buffer_size(limits::INBOUND_MESSAGE)
            .write_buffer_size(limits::WRITE_BUFFER)
            .max_write_buffer_size(limits::SESSION_BUFFER);
        let socket = WebSocketStream::from_partially_read(
            PeerConnection::new(connection),
            read.into(),
            Role::Server,
            Some(config),
        )
        .await;
        let (mut sink, mut stream) = socket.split();
        let end = tokio::select! {
            end = pump(&mut sink, &mut messages) => end,
            end = listen(&mut stream) => end,
            end = away(&mut serving, &backend) => end,
            () = drain.cancelled() => End::Away("the daemon is shutting down"),
        };
        // First of all the engine's side: whatever the peer does now, no stream is held open for it.
        drop(messages);
        if let End::PeerLeft(error) = end {
            tracing::debug!(%error, "log session ended: the peer left");
            return;
        }
        tracing::debug!(?end, "log session ended");
        // Halves of one socket always fit.
        let Ok(socket) = sink.reunite(stream) else {
            return;
        };
        tokio::select! {
            closed = closing::close(socket, close_frame(end)) => match closed {
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "the peer left before the end"),
            },
            () = overdue(&drain) => tracing::debug!("the peer did not answer the close frame"),
        }
    }
}

/// Returns when the daemon has waited long enough for its peers.
async fn overdue(drain: &CancellationToken) {
    drain.cancelled().await;
    tokio::time::sleep(limits::DRAIN).await;
}

/// A chunk as the client chose to have it.
fn message(framing: Framing, chunk: LogChunk) -> Message {
    Message::Binary(match framing {
        Framing::Raw => chunk.bytes,
        Framing::Source => {
            let source = match chunk.source {
                LogSource::Stdout => 1,
                LogSource::Stderr => 2,
            };
            let mut frame = Vec::with_capacity(1 + chunk.bytes.len());
            frame.push(source);
            frame.extend_from_slice(&chunk.bytes);
            frame.into()
        }
    })
}

/// Engine to peer. Waits wherever the peer is slow, and with it the engine.
async fn pump<S, L>(sink: &mut S, logs: &mut L) -> End
where
    S: futures::Sink<Message, Error = Error> + Unpin,
    L: Stream<Item = Result<Message, EngineError>> + Unpin,
{
    let mut ping = Instant::now() + limits::PING_EVERY;
    loop {
        let sent = tokio::select! {
            // A log that never pauses must not hold the pings back.
            biased;
            () = sleep_until(ping) => {
                ping = Instant::now() + limits::PING_EVERY;
                sink.send(Message::Ping(Bytes::new())).await.map(|()| None)
            }
            message = logs.next() => match message {
                // While more is at hand frames are gathered; the last one before a pause is flushed.
                Some(Ok(message)) => match sink.feed(message).await {
                    Ok(()) => gather(sink, logs, ping).await,
                    Err(error) => Err(error),
                },
                Some(Err(error)) => return End::Failed(error),
                None => return End::LogEnded,
            },
        };
        match sent {
            Ok(None) => {}
            Ok(Some(end)) => return end,
            Err(error) => return End::PeerLeft(error),
        }
    }
}

/// Feeds what the engine has at hand until a ping is due, without waiting for
/// more, then flushes. Answers how the log ended, if it did.
async fn gather<S, L>(sink: &mut S, logs: &mut L, ping: Instant) -> Result<Option<End>, Error>
where
    S: futures::Sink<Message, Error = Error> + Unpin,
    L: Stream<Item = Result<Message, EngineError>> + Unpin,
{
    let mut end = None;
    while Instant::now() < ping {
        match futures::FutureExt::now_or_never(logs.next()) {
            Some(Some(Ok(message))) => sink.feed(message).await?,
            Some(Some(Err(error))) => end = Some(End::Failed(error)),
            Some(None) => end = Some(End::LogEnded),
            None => break,
        }
        if end.is_some() {
            break;
        }
    }
    sink.flush().await?;
    Ok(end)
}

/// Peer to us: control frames are answered by the library; anything else is
/// read and let go, so that the connection stays readable.
async fn listen<S>(stream: &mut S) -> End
where
    S: futures::Stream<Item = Result<Message, Error>> + Unpin,
{
    loop {
        match stream.next().await {
            Some(Ok(Message::Close(_))) => return End::PeerClosed,
            Some(Ok(_)) => {}
            Some(Err(error)) => return broken(error),
            None => return End::PeerLeft(Error::ConnectionClosed),
        }
    }
}

/// What an error of reading says of the peer.
fn broken(error: Error) -> End {
    match error {
        Error::Capacity(_) => End::PeerMisbehaved(
            CloseCode::Size,
            "messages to this endpoint have at most 4096 bytes",
        ),
        Error::Utf8(_) => End::PeerMisbehaved(CloseCode::Invalid, "text must be UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::PeerLeft(error),
        Error::Protocol(_) => {
            End::PeerMisbehaved(CloseCode::Protocol, "the WebSocket protocol was not kept")
        }
        _ => End::PeerLeft(error),
    }
}

/// Returns when the user stopped the App or chose another backend. An engine
/// that is merely unreachable ends its own streams.
async fn away(serving: &mut watch::Receiver<ServingSnapshot>, backend: &str) -> End {
    let is_gone = |snapshot: &ServingSnapshot| {
        snapshot.backend != backend
            || matches!(
                snapshot.serving,
                ServingState::Unavailable(
                    UnavailableReason::Stopped | UnavailableReason::BackendNotInstalled { .. }
                )
            )
    };
    let why = serving.wait_for(is_gone).await.map(|snapshot| {
        if snapshot.backend != backend {
            return "another backend was chosen";
        }
        match snapshot.serving {
            ServingState::Unavailable(UnavailableReason::Stopped) => {
                "the container engine was stopped"
            }
            _ => "the backend cannot be used any more",
        }
    });
    match why {
        Ok(why) => End::Away(why),
        // The reconciler is gone, and with it the daemon: the drain says so better.
        Err(_) => std::future::pending().await,
    }
}

/// What the peer is told; nothing when it closed first, since the library has
/// its answer ready then, or when there is nobody to tell.
fn close_frame(end: End) -> Option<CloseFrame> {
    let (code, reason): (CloseCode, Cow<'static, str>) = match end {
        End::LogEnded => (CloseCode::Normal, "the log ended".into()),
        End::Away(why) => (CloseCode::Away, why.into()),
        End::Failed(error) => {
            let code = match error.code {
                ErrorCode::Unavailable | ErrorCode::Timeout => CloseCode::Again,
                _ => CloseCode::Error,
            };
            (code, error.message.into())
        }
        End::PeerMisbehaved(code, why) => (code, why.into()),
        End::PeerClosed | End::PeerLeft(_) => return None,
    };
    Some(CloseFrame {
        code,
        reason: rdd_core::text::truncate(&reason, limits::CLOSE_REASON).into(),
    })
}

#[cfg(test)]
mod tests;
