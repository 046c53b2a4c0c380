//! The WebSocket of a session, on a connection of any type.

use std::cmp;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use super::close_reason::CloseReason;
use super::closing;
use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::peer_connection::PeerConnection;

/// The WebSocket of a session. It is boxed, since the future of a session has a place
/// for it in each of its steps.
pub(crate) type SessionSocket<T> = Box<WebSocketStream<PeerConnection<T>>>;

/// A session that runs on a connection of any type.
pub(crate) trait SessionHandler: Sized + Send {
    /// Runs the session to its end. `read` are the bytes that were already
    /// received after the request.
    fn run_on<T>(self, connection: T, read: Bytes) -> impl Future<Output = ()> + Send
    where
        T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin + Send;
}

/// Runs a session on the connection of a request.
pub(crate) async fn run(session: impl SessionHandler, upgraded: Upgraded) {
    // The inner connection reports the delivery state, `Upgraded` does not. It is
    // boxed, too.
    match rdd_gateway::into_tls_connection(upgraded) {
        Ok((connection, read)) => session.run_on(Box::new(connection), read).await,
        Err(upgraded) => match rdd_gateway::into_plain_connection(upgraded) {
            Ok((connection, read)) => session.run_on(Box::new(connection), read).await,
            Err(upgraded) => {
                let connection = TokioIo::new(upgraded);
                session.run_on(Box::new(connection), Bytes::new()).await;
            }
        },
    }
}

/// Returns the WebSocket on `connection`. Messages of the peer have at most
/// `max_message` bytes, and at most `max_buffer` bytes wait for the peer, which no
/// message to it may exceed.
pub(crate) async fn open_socket<T>(
    connection: T,
    read: Bytes,
    max_message: usize,
    max_buffer: usize,
) -> SessionSocket<T>
where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        .read_buffer_size(cmp::min(max_message / 8, limits::READ_BUFFER_SIZE))
        .write_buffer_size(limits::WRITE_BUFFER_SIZE)
        .max_write_buffer_size(max_buffer);
    let socket = WebSocketStream::from_partially_read(
        PeerConnection::new(connection),
        // A copy: mostly of nothing, while `read` keeps the buffer of the request.
        read.to_vec(),
        Role::Server,
        Some(config),
    );
    Box::new(socket.await)
}

/// Closes the socket of a session that ended, unless the peer is lost.
pub(crate) async fn close<T>(
    socket: SessionSocket<T>,
    reason: CloseReason,
    shutdown: &CancellationToken,
) where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    if let CloseReason::PeerLost(error) = reason {
        tracing::debug!(%error, "session ended: peer lost");
        return;
    }
    tracing::debug!(?reason, "session ended");
    tokio::select! {
        closed = closing::close(socket, reason.into_close_frame()) => match closed {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "peer lost during the closing handshake"),
        },
        () = drain_timeout(shutdown) => tracing::debug!("the peer did not answer the close frame"),
    }
}

/// Resolves [`limits::DRAIN_TIMEOUT`] after the daemon begins to shut down.
async fn drain_timeout(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(limits::DRAIN_TIMEOUT).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_session::LogSession;
    use crate::mux::MuxSession;

    /// Returns the size of the future of a session.
    fn future_size<S: SessionHandler>() -> usize {
        fn of<S, F>(_: impl FnOnce(S, Upgraded) -> F) -> usize {
            size_of::<F>()
        }
        of(|session: S, upgraded| run(session, upgraded))
    }

    #[test]
    fn the_future_of_an_idle_session_is_small() {
        let sizes = [future_size::<LogSession>(), future_size::<MuxSession>()];
        assert!(
            sizes.iter().all(|size| *size <= 7 * 1024),
            "{sizes:?} bytes"
        );
    }
}
