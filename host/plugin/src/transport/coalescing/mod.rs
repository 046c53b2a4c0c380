//! Reading a busy socket in fewer, larger pieces.
//!
//! An engine writes every line of a log by itself. A reader that is woken for
//! each of them spends its time on waking, and so does the engine, which
//! does the waking and mostly shares the machine. So once a socket is seen to be
//! busy, it is left alone for a moment between two reads: not even the
//! system's event queue looks at it then.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

// The runtime's own timers have steps of a millisecond and fire up to two late.
use futures_timer::Delay;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream as Queued;

/// How long a busy socket is left alone: nothing that anybody notices, and
/// less than it takes an engine to fill the socket's buffer. Lines of 100 bytes
/// fill it at 30 KB, since each write takes seven times its length, and the
/// engine writes up to 25 MB/s of them.
const PAUSE: Duration = Duration::from_micros(500);
/// Reads that follow each other faster than this are a busy socket's.
const QUICK: Duration = Duration::from_millis(1);
/// So many quick short reads in a row make a socket busy. Answers to calls
/// come in fewer pieces and are never held up.
const BUSY: u32 = 16;
/// Reads below this size are short: more than a pause brings of short lines,
/// less than what an engine sends that writes large pieces.
const SHORT: usize = 48 * 1024;

/// Splits a connected socket, which stays the only descriptor. Both halves
/// must be used where a runtime is.
pub(super) fn split(socket: UnixStream) -> (Reader, Writer) {
    let socket = Arc::new(Socket(Mutex::new(State {
        place: Place::Aside(socket),
        waiting: [false; 2],
    })));
    let reader = Reader {
        socket: socket.clone(),
        queued: false,
        last: Instant::now(),
        run: 0,
        pause: None,
    };
    let writer = Writer {
        socket,
        queued: false,
    };
    (reader, writer)
}

/// A direction of the socket.
#[derive(Clone, Copy)]
enum Half {
    Reader = 0,
    Writer = 1,
}

/// The socket of two halves. The lock is held for one system call at a time.
struct Socket(Mutex<State>);

struct State {
    place: Place,
    /// Which halves need it in the event queue, by [`Half`].
    waiting: [bool; 2],
}

/// Where the socket is.
enum Place {
    /// Not in the system's event queue.
    Aside(UnixStream),
    /// In the queue.
    Queued(Queued),
    /// The system would not take it into the queue, or out of it.
    Lost,
}

impl State {
    fn enqueue(&mut self) -> io::Result<&Queued> {
        if let Place::Aside(_) = self.place
            && let Place::Aside(socket) = std::mem::replace(&mut self.place, Place::Lost)
        {
            self.place = Place::Queued(Queued::from_std(socket)?);
        }
        match &self.place {
            Place::Queued(queued) => Ok(queued),
            Place::Aside(_) | Place::Lost => Err(lost()),
        }
    }
}

fn lost() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl Socket {
    /// Does `io` now, wherever the socket is.
    fn now<T>(&self, io: impl FnOnce(&socket2::Socket) -> io::Result<T>) -> io::Result<T> {
        match &self.state().place {
            Place::Aside(socket) => io(&SockRef::from(socket)),
            Place::Queued(socket) => io(&SockRef::from(socket)),
            Place::Lost => Err(lost()),
        }
    }

    /// Does `io` as soon as the event queue says that it can be done.
    fn poll<T>(
        &self,
        half: Half,
        cx: &mut Context<'_>,
        mut io: impl FnMut(&socket2::Socket) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.state();
        state.waiting[half as usize] = true;
        let queued = state.enqueue()?;
        loop {
            let interest = match half {
                Half::Reader => {
                    ready!(queued.poll_read_ready(cx))?;
                    Interest::READABLE
                }
                Half::Writer => {
                    ready!(queued.poll_write_ready(cx))?;
                    Interest::WRITABLE
                }
            };
            match queued.try_io(interest, || io(&SockRef::from(queued))) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Notes that this half needs the queue no more.
    fn leave(&self, half: Half) {
        let mut state = self.state();
        state.waiting[half as usize] = false;
        if state.waiting == [false; 2]
            && let Place::Queued(_) = state.place
            && let Place::Queued(queued) = std::mem::replace(&mut state.place, Place::Lost)
        {
            match queued.into_std() {
                Ok(socket) => state.place = Place::Aside(socket),
                Err(error) => tracing::warn!(%error, "an engine's connection is given up"),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Where a step could panic the socket counts as lost.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading half.
pub(super) struct Reader {
    socket: Arc<Socket>,
    /// Whether it is in the event queue: while it is not busy.
    queued: bool,
    /// When something was last read.
    last: Instant,
    /// Short reads in quick succession.
    run: u32,
    pause: Option<Delay>,
}

impl Reader {
    /// Waits for something to read, and reads it.
    fn poll_some(
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
        if !self.queued {
            match self.socket.now(&mut read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What was busy is so no more.
                    self.run = 0;
                }
                done => return Poll::Ready(done),
            }
        }
        self.queued = true;
        self.socket.poll(Half::Reader, cx, read)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.socket.leave(Half::Reader);
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut paused = false;
        if let Some(pause) = &mut this.pause {
            ready!(Pin::new(pause).poll(cx));
            this.pause = None;
            paused = true;
        }
        let bytes = ready!(this.poll_some(cx, buffer))?;
        let now = Instant::now();
        let quick = paused || now.duration_since(this.last) < QUICK;
        this.last = now;
        this.run = if quick && bytes < SHORT {
            this.run.saturating_add(1)
        } else {
            0
        };
        if this.run >= BUSY {
            this.queued = false;
            this.socket.leave(Half::Reader);
            this.pause = Some(Delay::new(PAUSE));
        }
        Poll::Ready(Ok(()))
    }
}

/// The writing half. Dropping it tells the engine that nothing more comes.
pub(super) struct Writer {
    socket: Arc<Socket>,
    /// Whether it is in the event queue: while the engine takes nothing.
    queued: bool,
}

impl AsyncWrite for Writer {
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
                    done => return done,
                }
            }
        };
        if !this.queued {
            match this.socket.now(write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => this.queued = true,
                done => return Poll::Ready(done),
            }
        }
        let written = ready!(this.socket.poll(Half::Writer, cx, write));
        this.queued = false;
        this.socket.leave(Half::Writer);
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.now(|socket| socket.shutdown(Shutdown::Write)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.socket.leave(Half::Writer);
        // An engine that has closed already needs no telling.
        self.socket
            .now(|socket| socket.shutdown(Shutdown::Write))
            .ok();
    }
}

#[cfg(test)]
mod tests;
