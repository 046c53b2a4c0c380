//! The closing handshake.
//!
//! The last of a log, and the close frame behind it, may still be on their way
//! for minutes where a reader is slow. So no time limit runs while bytes are
//! being taken: a peer has the same time for its close frame that it has for
//! any sign of life, [`limits::PEER_SILENCE`], which [`PeerConnection`] keeps.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::delivery::Transport;
use crate::limits;
use crate::peer::PeerConnection;

/// Bytes that are thrown away at a time.
const DISCARDED: usize = 4 * 1024;

type Socket<T> = WebSocketStream<PeerConnection<T>>;

/// Sends `frame`, or where there is none the answer to the peer's own, waits
/// for the peer's, and closes the connection so that nothing which was sent is
/// lost.
pub(super) async fn close<T>(mut socket: Socket<T>, frame: Option<CloseFrame>) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + Transport + Unpin,
{
    shake_hands(&mut socket, frame).await?;
    let connection = socket.get_mut();
    shut_down(connection).await?;
    Ok(linger(connection).await?)
}

/// Writes what is left and the close frame, and reads the peer's.
async fn shake_hands<T>(socket: &mut Socket<T>, frame: Option<CloseFrame>) -> Result<(), Error>
where
    T: AsyncRead + AsyncWrite + Transport + Unpin,
{
    let mut frame = frame.map(|frame| Message::Close(Some(frame)));
    let mut open = true;
    std::future::poll_fn(|cx| {
        let answered = loop {
            match socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                // The peer has closed, has left, or sent what is no frame.
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
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Ends our side of the connection. Without an end of its own a TLS connection
/// looks cut off to the peer.
async fn shut_down<T>(connection: &mut PeerConnection<T>) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Transport + Unpin,
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

/// Waits for the peer to end its side. A connection that is closed before that
/// is reset as soon as the peer sends anything, a late pong, say, and with it
/// goes what the peer has not read yet.
async fn linger<T>(connection: &mut PeerConnection<T>) -> io::Result<()>
where
    T: AsyncRead + Transport + Unpin,
{
    let mut discarded = [0; DISCARDED];
    let mut limit = Instant::now() + limits::LINGER;
    loop {
        let read = timeout_at(limit, connection.read(&mut discarded)).await;
        if let Ok(read) = read
            && read? == 0
        {
            return Ok(());
        }
        if Instant::now() >= limit {
            if !connection.is_delivering() {
                return Ok(());
            }
            limit = Instant::now() + limits::LINGER;
        }
    }
}

/// Reads and throws away what the peer sends. Ready when it sends no more.
fn poll_discard<T: AsyncRead + Unpin>(connection: &mut T, cx: &mut Context<'_>) -> Poll<()> {
    let mut discarded = [0; DISCARDED];
    loop {
        let mut buffer = ReadBuf::new(&mut discarded);
        match ready!(Pin::new(&mut *connection).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {}
            // An error of reading is one of writing, too, where it is told.
            Ok(()) | Err(_) => return Poll::Ready(()),
        }
    }
}
