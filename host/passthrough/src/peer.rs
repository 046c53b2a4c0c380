//! Whether a peer is still there, read off its connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::delivery::{Delivery, Transport};
use crate::limits;

/// A connection whose reads and writes fail with [`io::ErrorKind::TimedOut`]
/// once its peer gave no sign of life for [`limits::PEER_SILENCE`].
///
/// Signs of life are
/// - bytes that arrive: whatever a client sends, answers to our pings above all;
/// - room that comes free for writing after there was none. A write that the
///   system merely buffers proves nothing;
/// - an answer of the peer's system while bytes are on their way. As long as
///   they are, a peer that does not read cannot have seen our pings, so its
///   silence is not held against it. Its system tells whether it is there.
///
/// Once everything is delivered, only the peer itself counts again.
pub(crate) struct PeerConnection<T> {
    inner: T,
    last_sign: Instant,
    write_blocked: bool,
    check: Interval,
    /// When bytes were last seen to be taken, and how many had been by then.
    progress: (Instant, u64),
}

impl<T: Transport> PeerConnection<T> {
    pub(crate) fn new(inner: T) -> Self {
        let now = Instant::now();
        let mut check = interval_at(now + limits::SILENCE_CHECK, limits::SILENCE_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            inner,
            last_sign: now,
            write_blocked: false,
            check,
            progress: (now, 0),
        }
    }

    /// Whether the peer's system has still to take bytes that were written.
    pub(crate) fn is_delivering(&self) -> bool {
        self.inner
            .delivery()
            .is_some_and(|delivery| delivery.pending)
    }

    /// Fails when the peer was silent for too long; else has the task woken
    /// when that is to be looked at again.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.check.poll_tick(cx).is_ready() {
            if let Some(delivery) = self.inner.delivery() {
                self.note_delivery(delivery);
            }
        }
        if self.last_sign.elapsed() < limits::PEER_SILENCE {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer gave no sign of life",
        ))
    }

    fn note_delivery(&mut self, delivery: Delivery) {
        let Delivery {
            pending,
            acknowledged,
            since_answer,
        } = delivery;
        let now = Instant::now();
        if !pending {
            return;
        }
        if let Some(answered) = now.checked_sub(since_answer) {
            self.last_sign = self.last_sign.max(answered);
        }
        let (since, known) = self.progress;
        if known != acknowledged {
            self.progress = (now, acknowledged);
            return;
        }
        // Linux asks a system whose buffers are full at growing distances, up
        // to two minutes, but at the latest when this time-out is due. It is
        // moved on before it is: giving up is for us to decide.
        self.inner
            .set_user_timeout(now.duration_since(since) + limits::ASK_STALLED_EVERY);
    }

    fn note_write<R>(&mut self, result: &Poll<io::Result<R>>) {
        match result {
            Poll::Pending => self.write_blocked = true,
            Poll::Ready(Ok(_)) if self.write_blocked => {
                self.write_blocked = false;
                self.last_sign = Instant::now();
            }
            Poll::Ready(_) => {}
        }
    }
}

impl<T: AsyncRead + Transport + Unpin> AsyncRead for PeerConnection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.last_sign = Instant::now();
        }
        if result.is_pending() {
            self.poll_silence(cx)?;
        }
        result
    }
}

impl<T: AsyncWrite + Transport + Unpin> AsyncWrite for PeerConnection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note_write(&result);
        if result.is_pending() {
            self.poll_silence(cx)?;
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.note_write(&result);
        if result.is_pending() {
            self.poll_silence(cx)?;
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        if result.is_pending() {
            self.poll_silence(cx)?;
        }
        result
    }
}
