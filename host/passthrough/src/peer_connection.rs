//! A connection that detects a dead peer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::delivery::{DeliveryState, DeliveryTracker};
use crate::limits;

/// A connection whose reads and writes fail with [`io::ErrorKind::TimedOut`]
/// after [`limits::PEER_TIMEOUT`] without activity of the peer, or after
/// [`limits::STALLED_PEER_TIMEOUT`] while its receive buffer is full.
///
/// Activity is
/// - received bytes of any kind, mostly pongs;
/// - a write that succeeds after one was blocked. A write that the operating
///   system merely buffers proves nothing;
/// - an acknowledgment by the peer's operating system while bytes are in
///   flight. Until they are read, the peer cannot have received our pings, so
///   missing pongs do not count.
///
/// Once all bytes are delivered, only received bytes count.
///
/// After each read with a result, the next one is pending once. The WebSocket library
/// reads until a read is pending, so a peer that sends very many empty messages would
/// keep the thread busy for seconds otherwise.
pub(crate) struct PeerConnection<T> {
    inner: T,
    /// Whether the next read is pending, to give other tasks their turn.
    is_turn_over: bool,
    last_activity: Instant,
    write_blocked: bool,
    check: Interval,
    /// How long the peer may be without activity, as of the last check.
    timeout: Duration,
}

impl<T: DeliveryTracker> PeerConnection<T> {
    pub(crate) fn new(inner: T) -> Self {
        let now = Instant::now();
        let mut check = interval_at(
            now + limits::PEER_CHECK_INTERVAL,
            limits::PEER_CHECK_INTERVAL,
        );
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            inner,
            is_turn_over: false,
            last_activity: now,
            write_blocked: false,
            check,
            timeout: limits::PEER_TIMEOUT,
        }
    }

    /// Returns whether the peer's system has not acknowledged all written bytes.
    pub(crate) fn has_pending_bytes(&self) -> bool {
        self.inner
            .delivery()
            .is_some_and(|delivery| delivery.is_pending)
    }

    /// Checks the peer while the connection is not read on purpose, so that its
    /// pongs are unread as well. It counts as active as long as its system
    /// acknowledges our pings, which are written as usual.
    ///
    /// # Errors
    ///
    /// Fails if the peer closed its side of the connection, or if its system does
    /// not acknowledge anything for too long.
    pub(crate) fn check_unread(&mut self) -> io::Result<()> {
        if self.inner.is_read_closed() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let is_silent = |delivery: DeliveryState| {
            delivery.is_pending && delivery.since_last_ack >= delivery.ack_timeout()
        };
        if self.inner.delivery().is_some_and(is_silent) {
            return Err(peer_timeout());
        }
        self.last_activity = Instant::now();
        Ok(())
    }

    /// Fails if the peer was inactive for too long. Otherwise, wakes the task for
    /// the next check.
    fn poll_peer_timeout(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.check.poll_tick(cx).is_ready() {
            if let Some(delivery) = self.inner.delivery() {
                self.record_delivery(delivery);
            }
        }
        if self.last_activity.elapsed() < self.timeout {
            return Ok(());
        }
        Err(peer_timeout())
    }

    fn record_delivery(&mut self, delivery: DeliveryState) {
        if !delivery.is_pending {
            self.timeout = limits::PEER_TIMEOUT;
            return;
        }
        self.timeout = delivery.ack_timeout();
        if let Some(acknowledged_at) = Instant::now().checked_sub(delivery.since_last_ack) {
            self.last_activity = self.last_activity.max(acknowledged_at);
        }
    }

    fn record_write<R>(&mut self, result: &Poll<io::Result<R>>) {
        match result {
            Poll::Pending => self.write_blocked = true,
            Poll::Ready(Ok(_)) if self.write_blocked => {
                self.write_blocked = false;
                self.last_activity = Instant::now();
            }
            Poll::Ready(_) => {}
        }
    }
}

fn peer_timeout() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer does not respond")
}

impl<T: AsyncRead + DeliveryTracker + Unpin> AsyncRead for PeerConnection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_turn_over {
            self.is_turn_over = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.last_activity = Instant::now();
        }
        self.is_turn_over = result.is_ready();
        if result.is_pending() {
            self.poll_peer_timeout(cx)?;
        }
        result
    }
}

impl<T: AsyncWrite + DeliveryTracker + Unpin> AsyncWrite for PeerConnection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.record_write(&result);
        if result.is_pending() {
            self.poll_peer_timeout(cx)?;
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.record_write(&result);
        if result.is_pending() {
            self.poll_peer_timeout(cx)?;
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        if result.is_pending() {
            self.poll_peer_timeout(cx)?;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A connection that always has something to read.
    struct EndlessInput;

    impl DeliveryTracker for EndlessInput {}

    impl AsyncRead for EndlessInput {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(&[0]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_peer_that_always_sends_lets_other_tasks_run() {
        let mut connection = PeerConnection::new(EndlessInput);
        let reads = async {
            for _ in 0..1000 {
                connection.read_u8().await.unwrap();
            }
        };
        tokio::select! {
            biased;
            () = reads => panic!("nobody else had a turn"),
            () = tokio::task::yield_now() => {}
        }
    }
}
