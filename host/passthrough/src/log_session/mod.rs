//! A log session: one log on one WebSocket, from the upgrade to the close.

use futures::{FutureExt as _, SinkExt as _, Stream, StreamExt as _};
use rdd_core::{EngineError, ServingSnapshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::sync::CancellationToken;

use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::log_format::{FrameFormat, LogEncoder};
use crate::open_log::MessageStream;
use crate::session::close_reason::{CloseReason, serving_lost};
use crate::session::connection::{self, SessionHandler};

/// The log of a session, and the signals that end it.
pub(crate) struct LogSession {
    /// The log, in the format of data frames.
    pub(crate) messages: MessageStream,
    /// The format of data frames.
    pub(crate) frame_format: FrameFormat,
    /// The backend that provides the log.
    pub(crate) backend: String,
    /// The selected backend, and whether the App is running.
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    /// Cancelled when the daemon shuts down.
    pub(crate) shutdown: CancellationToken,
}

impl SessionHandler for LogSession {
    /// Forwards the log until either side ends.
    async fn run_on<T>(self, connection: T, read: Bytes)
    where
        T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin + Send,
    {
        let Self {
            mut messages,
            frame_format,
            backend,
            mut serving,
            shutdown,
        } = self;
        let max_buffer = match frame_format {
            FrameFormat::Json => limits::MAX_JSON_BUFFER,
            _ => limits::MAX_SESSION_BUFFER,
        };
        let max_message = limits::MAX_INBOUND_MESSAGE;
        let socket = connection::open_socket(connection, read, max_message, max_buffer).await;
        let (mut sink, mut stream) = socket.split();
        let reason = tokio::select! {
            reason = forward_log(&mut sink, &mut messages) => reason,
            reason = read_peer(&mut stream) => reason,
            reason = serving_lost(&mut serving, &backend) => reason,
            () = shutdown.cancelled() => CloseReason::SHUTDOWN,
        };
        // Close the engine's stream first, so that the closing handshake with a
        // slow peer does not keep it open.
        drop(messages);
        if let CloseReason::ServingLost(reason) = reason
            && let Some(message) = LogEncoder::end_message(frame_format, reason)
        {
            // A client that reads slowly gets the close frame only; what is queued is
            // written with it.
            sink.send(message).now_or_never();
        }
        // Both halves are of the same socket.
        if let Ok(socket) = sink.reunite(stream) {
            connection::close(socket, reason, &shutdown).await;
        }
    }
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
            Some(Err(error)) => {
                return CloseReason::from_read_error(error, limits::MAX_INBOUND_MESSAGE);
            }
            None => return CloseReason::PeerLost(Error::ConnectionClosed),
        }
    }
}

#[cfg(test)]
mod tests;
