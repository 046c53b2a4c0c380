//! A Unix socket whose reader coalesces short reads.
//!
//! An engine writes every line of a log separately. A reader that is woken for
//! each of them spends its time on wake-ups, and so does the engine, which
//! triggers them and usually shares the machine. So once a socket is busy, the
//! reader waits a moment between two reads, and the socket is not registered
//! with the reactor in the meantime.
//!
//! Written by hand because tokio's sockets are always registered, and a
//! registered socket causes a wake-up for each write even if nothing polls it.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

// Tokio's timers have a resolution of a millisecond and fire up to two late.
use futures_timer::Delay;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// The delay between two reads of a busy socket. It is too short to be noticed,
/// and shorter than an engine needs to fill the socket's buffer: lines of
/// 100 bytes fill it at 30 KB, since each write takes seven times its length,
/// and the engine writes up to 25 MB/s of them.
const COALESCE_DELAY: Duration = Duration::from_micros(500);
/// Reads that follow each other within this time count toward
/// [`BUSY_READS`].
const MAX_READ_GAP: Duration = Duration::from_millis(1);
/// The number of consecutive short reads after which a socket is busy. Responses
/// to calls consist of fewer reads and are never delayed.
const BUSY_READS: u32 = 16;
/// Reads below this size are short: more than what accumulates during a delay
/// from short lines, and less than what an engine sends that writes large
/// chunks.
const SHORT_READ_BYTES: usize = 48 * 1024;

/// Splits a connected socket without duplicating its descriptor. Both halves
/// must be used within a tokio runtime.
pub(super) fn split(socket: StdUnixStream) -> (CoalescingReader, SocketWriter) {
    let socket = Arc::new(SharedSocket(Mutex::new(SocketState {
        registration: Registration::Unregistered(socket),
        needs_reactor: [false; 2],
    })));
    let reader = CoalescingReader {
        socket: socket.clone(),
        is_registered: false,
        last_read: Instant::now(),
        short_reads: 0,
        delay: None,
    };
    let writer = SocketWriter {
        socket,
        is_registered: false,
    };
    (reader, writer)
}

/// One direction of the socket.
#[derive(Clone, Copy)]
enum SocketHalf {
    Reader = 0,
    Writer = 1,
}

/// The socket of both halves. The lock is held for one system call at a time.
struct SharedSocket(Mutex<SocketState>);

struct SocketState {
    registration: Registration,
    /// Whether each half needs the reactor, indexed by [`SocketHalf`].
    needs_reactor: [bool; 2],
}

/// Whether the socket is registered with tokio's reactor.
enum Registration {
    Unregistered(StdUnixStream),
    Registered(UnixStream),
    /// Registering or deregistering failed; the socket is closed.
    Lost,
}

impl SocketState {
    fn register(&mut self) -> io::Result<&UnixStream> {
        if let Registration::Unregistered(_) = self.registration
            && let Registration::Unregistered(socket) =
                std::mem::replace(&mut self.registration, Registration::Lost)
        {
            self.registration = Registration::Registered(UnixStream::from_std(socket)?);
        }
        match &self.registration {
            Registration::Registered(socket) => Ok(socket),
            Registration::Unregistered(_) | Registration::Lost => Err(not_connected()),
        }
    }
}

fn not_connected() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl SharedSocket {
    /// Performs `io` once, without waiting, whether or not the socket is
    /// registered.
    fn try_io<T>(&self, io: impl FnOnce(&socket2::Socket) -> io::Result<T>) -> io::Result<T> {
        match &self.lock().registration {
            Registration::Unregistered(socket) => io(&SockRef::from(socket)),
            Registration::Registered(socket) => io(&SockRef::from(socket)),
            Registration::Lost => Err(not_connected()),
        }
    }

    /// Registers the socket and performs `io` once the reactor reports that it
    /// is ready.
    fn poll_io<T>(
        &self,
        half: SocketHalf,
        cx: &mut Context<'_>,
        mut io: impl FnMut(&socket2::Socket) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.lock();
        state.needs_reactor[half as usize] = true;
        let socket = state.register()?;
        loop {
            let interest = match half {
                SocketHalf::Reader => {
                    ready!(socket.poll_read_ready(cx))?;
                    Interest::READABLE
                }
                SocketHalf::Writer => {
                    ready!(socket.poll_write_ready(cx))?;
                    Interest::WRITABLE
                }
            };
            match socket.try_io(interest, || io(&SockRef::from(socket))) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Records that `half` no longer needs the reactor, and deregisters the
    /// socket once neither half does.
    fn deregister(&self, half: SocketHalf) {
        let mut state = self.lock();
        state.needs_reactor[half as usize] = false;
        if state.needs_reactor == [false; 2]
            && let Registration::Registered(_) = state.registration
            && let Registration::Registered(socket) =
                std::mem::replace(&mut state.registration, Registration::Lost)
        {
            match socket.into_std() {
                Ok(socket) => state.registration = Registration::Unregistered(socket),
                Err(error) => tracing::warn!(%error, "closing a connection to the engine"),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, SocketState> {
        // A panic in between leaves `Registration::Lost`, which is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving half of the socket.
pub(super) struct CoalescingReader {
    socket: Arc<SharedSocket>,
    /// Whether this half uses the reactor, which it does while the socket is not
    /// busy.
    is_registered: bool,
    last_read: Instant,
    /// The number of consecutive short reads.
    short_reads: u32,
    delay: Option<Delay>,
}

impl CoalescingReader {
    /// Reads once, waiting for the reactor if there is nothing to read.
    fn poll_read_socket(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut read = |socket: &socket2::Socket| {
            let mut socket = socket;
            loop {
                match socket.read(buffer.initialize_unfilled()) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(bytes) => {
                        buffer.advance(bytes);
                        return Ok(bytes);
                    }
                    error => return error,
                }
            }
        };
        if !self.is_registered {
            match self.socket.try_io(&mut read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Drained: the socket is no longer busy, so register it again.
                    self.short_reads = 0;
                }
                result => return Poll::Ready(result),
            }
        }
        self.is_registered = true;
        self.socket.poll_io(SocketHalf::Reader, cx, read)
    }
}

impl Drop for CoalescingReader {
    fn drop(&mut self) {
        self.socket.deregister(SocketHalf::Reader);
    }
}

impl AsyncRead for CoalescingReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut was_delayed = false;
        if let Some(delay) = &mut this.delay {
            ready!(Pin::new(delay).poll(cx));
            this.delay = None;
            was_delayed = true;
        }
        let bytes = ready!(this.poll_read_socket(cx, buffer))?;
        let now = Instant::now();
        let is_consecutive = was_delayed || now.duration_since(this.last_read) < MAX_READ_GAP;
        this.last_read = now;
        this.short_reads = if is_consecutive && bytes < SHORT_READ_BYTES {
            this.short_reads.saturating_add(1)
        } else {
            0
        };
        if this.short_reads >= BUSY_READS {
            this.is_registered = false;
            this.socket.deregister(SocketHalf::Reader);
            this.delay = Some(Delay::new(COALESCE_DELAY));
        }
        Poll::Ready(Ok(()))
    }
}

/// The sending half of the socket. Dropping it half-closes the connection.
pub(super) struct SocketWriter {
    socket: Arc<SharedSocket>,
    /// Whether this half uses the reactor, which it does while the socket's
    /// buffer is full.
    is_registered: bool,
}

impl AsyncWrite for SocketWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let write = |socket: &socket2::Socket| {
            let mut socket = socket;
            loop {
                match socket.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        };
        if !this.is_registered {
            match this.socket.try_io(write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.is_registered = true;
                }
                result => return Poll::Ready(result),
            }
        }
        let written = ready!(this.socket.poll_io(SocketHalf::Writer, cx, write));
        this.is_registered = false;
        this.socket.deregister(SocketHalf::Writer);
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            self.socket
                .try_io(|socket| socket.shutdown(Shutdown::Write)),
        )
    }
}

impl Drop for SocketWriter {
    fn drop(&mut self) {
        self.socket.deregister(SocketHalf::Writer);
        // Fails if the engine has already closed the connection.
        self.socket
            .try_io(|socket| socket.shutdown(Shutdown::Write))
            .ok();
    }
}

#[cfg(test)]
mod tests;
