//! The closing handshake.
//!
//! With a slow reader, the end of a log and the close frame after it may be in
//! flight for minutes. So no timeout runs while bytes are being delivered. Then the
//! peer has [`limits::PEER_TIMEOUT`] for its close frame, also one that sends
//! everything else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connection::SessionSocket;
use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::peer_connection::PeerConnection;

/// The size of the buffer for discarded bytes.
const DISCARD_BUFFER: usize = 4 * 1024;

/// Sends `frame`, or the answer to the peer's close frame if there is none,
/// waits for that of the peer, and closes the connection without losing bytes
/// that were sent.
pub(super) async fn close<T>(
    mut socket: SessionSocket<T>,
    frame: Option<CloseFrame>,
) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    exchange_close_frames(&mut socket, frame).await?;
    let connection = socket.get_mut();
    shut_down(connection).await?;
    Ok(linger(connection).await?)
}

/// Writes the remaining bytes and the close frame, and reads the peer's.
async fn exchange_close_frames<T>(
    socket: &mut SessionSocket<T>,
    frame: Option<CloseFrame>,
) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    let mut frame = frame.map(|frame| Message::Close(Some(frame)));
    let mut open = true;
    let mut check = interval(limits::PEER_CHECK_INTERVAL);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut delivered_at = Instant::now();
    std::future::poll_fn(|cx| {
        let answered = loop {
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                // The peer closed or lost the connection, or sent an invalid frame.
                Poll::Ready(Some(Err(_)) | None) => break true,
                Poll::Pending => break false,
            }
        };
        if answered && open {
            open = poll_discard(socket.get_mut(), cx).is_pending();
        }
        if frame.is_some() {
            ready!(socket.poll_ready_unpin(cx))?;
            if let Some(frame) = frame.take() {
                socket.start_send_unpin(frame)?;
            }
        }
        ready!(socket.poll_flush_unpin(cx))?;
        if answered {
            return Poll::Ready(Ok(()));
        }
        while check.poll_tick(cx).is_ready() {
            if socket.get_ref().has_pending_bytes() {
                delivered_at = Instant::now();
            } else if delivered_at.elapsed() >= limits::PEER_TIMEOUT {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            }
        }
        Poll::Pending
    })
    .await
}

/// Shuts down our side of the connection. Without `close_notify`, a TLS
/// connection appears truncated to the peer.
async fn shut_down<T>(connection: &mut PeerConnection<T>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin,
{
    let mut open = true;
    std::future::poll_fn(|cx| {
        if open {
            open = poll_discard(connection, cx).is_pending();
        }
        Pin::new(&mut *connection).poll_shutdown(cx)
    })
    .await
}

/// Waits for the peer to shut down its side. A connection that is closed earlier
/// is reset as soon as the peer sends anything, such as a late pong, and the
/// reset discards what the peer has not read yet.
async fn linger<T>(connection: &mut PeerConnection<T>) -> io::Result<()>
where
    T: AsyncRead + DeliveryTracker + Unpin,
{
    let mut discarded = [0; DISCARD_BUFFER];
    let mut limit = Instant::now() + limits::LINGER_TIMEOUT;
    loop {
        let read = timeout_at(limit, connection.read(&mut discarded)).await;
        if let Ok(read) = read
            && read? == 0
        {
            return Ok(());
        }
        if Instant::now() >= limit {
            if !connection.has_pending_bytes() {
                return Ok(());
            }
            limit = Instant::now() + limits::LINGER_TIMEOUT;
        }
    }
}

/// Reads and discards what the peer sends. Ready at the end of the stream.
fn poll_discard<T: AsyncRead + Unpin>(connection: &mut T, cx: &mut Context<'_>) -> Poll<()> {
    let mut discarded = [0; DISCARD_BUFFER];
    loop {
        let mut buffer = ReadBuf::new(&mut discarded);
        match ready!(Pin::new(&mut *connection).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            // The next write reports the error.
            Ok(()) | Err(_) => return Poll::Ready(()),
        }
    }
}
