//! An in-memory connection whose delivery state a test sets.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::delivery::{DeliveryState, DeliveryTracker};

/// The size of the pipe's buffer in each direction, like the socket buffers of a
/// system.
pub(crate) const PIPE: usize = 64 * 1024;

/// The delivery state that the system of a pipe reports, as set by a test.
#[derive(Clone, Default)]
pub(crate) struct FakeSystem(pub(crate) Arc<Mutex<Option<DeliveryState>>>);

/// A pipe with a delivery state that records whether it was shut down, as TLS
/// requires.
pub(crate) struct Pipe {
    pub(crate) inner: DuplexStream,
    pub(crate) system: FakeSystem,
    pub(crate) is_shut_down: Arc<AtomicBool>,
}

impl DeliveryTracker for Pipe {
    fn delivery(&self) -> Option<DeliveryState> {
        *self.system.0.lock().unwrap()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.is_shut_down.store(true, Ordering::SeqCst);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The receive buffer of the peer is full, and its last acknowledgment was
/// `since_last_ack` ago.
pub(crate) fn stalled(since_last_ack: Duration) -> Option<DeliveryState> {
    Some(DeliveryState {
        is_pending: true,
        is_window_closed: true,
        since_last_ack,
    })
}

/// Bytes are in flight, and the last acknowledgment was `since_last_ack` ago.
pub(crate) fn in_flight(since_last_ack: Duration) -> Option<DeliveryState> {
    Some(DeliveryState {
        is_pending: true,
        is_window_closed: false,
        since_last_ack,
    })
}

/// All bytes are delivered.
pub(crate) fn delivered() -> Option<DeliveryState> {
    Some(DeliveryState {
        is_pending: false,
        is_window_closed: false,
        since_last_ack: Duration::ZERO,
    })
}
