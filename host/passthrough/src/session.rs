//! One log on one WebSocket, from the upgrade to the close.

use std::borrow::Cow;

use futures::{SinkExt as _, Stream, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rdd_core::{
    EngineError, ErrorCode, LogChunk, LogSource, LogStream, NotServing, Serving, ServingSnapshot,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::pulse::{Pulse, Watched};
use crate::upgrade::Framing;

/// How a session ended.
#[derive(Debug)]
enum End {
    /// The container stopped, or nothing was to be followed.
    LogEnded,
    /// The engine or the plugin failed.
    Failed(EngineError),
    /// The App was stopped, or its backend is no more.
    Away(&'static str),
    /// The peer said goodbye.
    PeerClosed,
    /// The peer's connection broke.
    PeerLeft,
    /// The peer gave no sign of life.
    PeerSilent,
    /// The peer sent something that does not belong here.
    PeerMisbehaved(CloseCode, &'static str),
}

/// Carries the log until either side ends.
pub(crate) async fn run(
    connection: Upgraded,
    logs: LogStream,
    framing: Framing,
    serving: watch::Receiver<ServingSnapshot>,
    drain: CancellationToken,
) {
    run_on(TokioIo::new(connection), logs, framing, serving, drain).await;
}

async fn run_on<T: AsyncRead + AsyncWrite + Unpin>(
    connection: T,
    logs: LogStream,
    framing: Framing,
    mut serving: watch::Receiver<ServingSnapshot>,
    drain: CancellationToken,
) {
    let mut messages = logs.map(move |chunk| chunk.map(|chunk| message(framing, chunk)));
    let (connection, pulse) = Watched::new(connection);
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::INBOUND_MESSAGE))
        .max_frame_size(Some(limits::INBOUND_MESSAGE))
        .read_buffer_size(limits::INBOUND_MESSAGE)
        .write_buffer_size(limits::WRITE_BUFFER)
        .max_write_buffer_size(limits::SESSION_BUFFER);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = pump(&mut sink, &mut messages) => end,
        end = listen(&mut stream) => end,
        () = silence(&pulse) => End::PeerSilent,
        end = away(&mut serving) => end,
        () = drain.cancelled() => End::Away("the daemon is shutting down"),
    };
    // First of all the engine's side: whatever the peer does now, no stream is held open for it.
    drop(messages);
    tracing::debug!(?end, "log session ended");
    let Some(frame) = close_frame(end) else {
        return;
    };
    let goodbye = async {
        sink.send(Message::Close(Some(frame))).await?;
        while let Some(Ok(_)) = stream.next().await {}
        // Without an end of its own a TLS connection looks cut off to the peer.
        if let Ok(mut socket) = sink.reunite(stream) {
            socket.get_mut().shutdown().await?;
        }
        Ok::<_, Error>(())
    };
    match tokio::time::timeout(limits::CLOSE_HANDSHAKE, goodbye).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the peer left before the end"),
        Err(_) => tracing::debug!("the peer did not answer the close frame"),
    }
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
    let mut ping = interval_at(Instant::now() + limits::PING_EVERY, limits::PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sent = tokio::select! {
            message = logs.next() => match message {
                // While more is at hand frames are gathered; the last one before a pause is flushed.
                Some(Ok(message)) => match sink.feed(message).await {
                    Ok(()) => gather(sink, logs).await,
                    Err(error) => Err(error),
                },
                Some(Err(error)) => return End::Failed(error),
                None => return End::LogEnded,
            },
            _ = ping.tick() => sink.send(Message::Ping(Bytes::new())).await.map(|()| None),
        };
        match sent {
            Ok(None) => {}
            Ok(Some(end)) => return end,
            Err(_) => return End::PeerLeft,
        }
    }
}

/// Feeds what the engine has at hand without waiting for more, then flushes.
/// Answers how the log ended, if it did.
async fn gather<S, L>(sink: &mut S, logs: &mut L) -> Result<Option<End>, Error>
where
    S: futures::Sink<Message, Error = Error> + Unpin,
    L: Stream<Item = Result<Message, EngineError>> + Unpin,
{
    let mut end = None;
    while let Some(next) = futures::FutureExt::now_or_never(logs.next()) {
        match next {
            Some(Ok(message)) => sink.feed(message).await?,
            Some(Err(error)) => end = Some(End::Failed(error)),
            None => end = Some(End::LogEnded),
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
            None => return End::PeerLeft,
            Some(Ok(_)) => {}
            Some(Err(Error::Capacity(_))) => {
                return End::PeerMisbehaved(
                    CloseCode::Size,
                    "messages to this endpoint have at most 4096 bytes",
                );
            }
            Some(Err(Error::Protocol(_))) => {
                return End::PeerMisbehaved(
                    CloseCode::Protocol,
                    "the WebSocket protocol was not kept",
                );
            }
            Some(Err(_)) => return End::PeerLeft,
        }
    }
}

/// Returns when the peer gave no sign of life for too long.
async fn silence(pulse: &Pulse) {
    let mut check = interval_at(
        Instant::now() + limits::SILENCE_CHECK,
        limits::SILENCE_CHECK,
    );
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while pulse.silence() < limits::PEER_SILENCE {
        check.tick().await;
    }
}

/// Returns when the user stopped the App or chose another backend. An engine
/// that is merely unreachable ends its own streams.
async fn away(serving: &mut watch::Receiver<ServingSnapshot>) -> End {
    let stopped = serving
        .wait_for(|snapshot| {
            matches!(
                snapshot.serving,
                Serving::Not(NotServing::Stopped | NotServing::BackendNotInstalled { .. })
            )
        })
        .await
        .map(|snapshot| matches!(snapshot.serving, Serving::Not(NotServing::Stopped)));
    match stopped {
        Ok(true) => End::Away("the container engine was stopped"),
        Ok(false) => End::Away("another backend was chosen"),
        // The reconciler is gone, and with it the daemon: the drain says so better.
        Err(_) => std::future::pending().await,
    }
}

/// What the peer is told; nothing when it closed first or there is nobody to tell.
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
        End::PeerClosed | End::PeerLeft | End::PeerSilent => return None,
    };
    let end = reason.floor_char_boundary(limits::CLOSE_REASON);
    Some(CloseFrame {
        code,
        reason: reason.get(..end).unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests;
