//! A connection to the engine over a pair of component-model streams, with
//! hyper's I/O traits.

use std::cell::{Cell, RefCell};
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use super::call_scope::{self, CallId, HeldConnection, StreamOperation};
use crate::types::Error;

/// The maximum size of one read from the host. Larger reads were not faster in
/// measurements.
const READ_BYTES: usize = 64 * 1024;

/// A connection opened by `transport.connect`.
pub(super) struct StreamConnection(Rc<ConnectionState>);

/// Shared with the list of connections that a call releases.
struct ConnectionState {
    reading: RefCell<ReadHalf>,
    writing: RefCell<WriteState>,
}

struct ReadHalf {
    state: ReadState,
    /// The bytes of the last read.
    buffer: Vec<u8>,
    /// The number of bytes of `buffer` that were returned to the reader.
    consumed: usize,
    /// The result that accompanies the incoming stream, awaited at its end.
    end: Option<EndReader>,
}

type EndReader = FutureReader<Result<(), Error>>;

type ReadOutput = (StreamReader<u8>, StreamResult, Vec<u8>);

enum ReadState {
    Idle(StreamReader<u8>),
    Busy(StreamOperation<ReadOutput>),
    /// The stream ended, and its result is awaited.
    Ending(StreamOperation<Result<Result<(), Error>, EndReader>>),
    Ended,
}

enum WriteState {
    /// Nothing is written, but for the bytes that a canceled write has left.
    Idle(StreamWriter<u8>, Vec<u8>),
    Busy(StreamOperation<Option<(StreamWriter<u8>, Vec<u8>)>>),
    Closed,
}

impl StreamConnection {
    pub(super) fn new(tx: StreamWriter<u8>, rx: StreamReader<u8>, end: EndReader) -> Self {
        let state = Rc::new(ConnectionState {
            reading: RefCell::new(ReadHalf {
                state: ReadState::Idle(rx),
                buffer: Vec::new(),
                consumed: 0,
                end: Some(end),
            }),
            writing: RefCell::new(WriteState::Idle(tx, Vec::new())),
        });
        call_scope::register(Rc::<ConnectionState>::clone(&state));
        Self(state)
    }
}

fn start_read(mut rx: StreamReader<u8>, buffer: Vec<u8>) -> ReadState {
    ReadState::Busy(StreamOperation::new(|is_canceled| async move {
        let (result, buffer) = {
            let mut read = pin!(rx.read(buffer));
            poll_fn(|cx| match is_canceled.get() {
                true => Poll::Ready(read.as_mut().cancel()),
                false => read.as_mut().poll(cx),
            })
            .await
        };
        (rx, result, buffer)
    }))
}

fn start_end(end: EndReader) -> ReadState {
    ReadState::Ending(StreamOperation::new(|is_canceled: Rc<Cell<bool>>| {
        let mut end = Box::pin(end.into_future());
        poll_fn(move |cx| match is_canceled.get() {
            true => Poll::Ready(end.as_mut().cancel()),
            false => end.as_mut().poll(cx).map(Ok),
        })
    }))
}

/// Writes all bytes. Returns the writer unless the host has dropped its end, and
/// the bytes that were not written before the write was canceled.
fn start_write(mut tx: StreamWriter<u8>, bytes: Vec<u8>) -> WriteState {
    WriteState::Busy(StreamOperation::new(|is_canceled| async move {
        let (mut result, mut rest) = {
            let mut write = pin!(tx.write(bytes));
            poll_fn(|cx| match is_canceled.get() {
                true => Poll::Ready(write.as_mut().cancel()),
                false => write.as_mut().poll(cx),
            })
            .await
        };
        while result != StreamResult::Dropped && rest.remaining() > 0 && !is_canceled.get() {
            let mut write = pin!(tx.write_buf(rest));
            (result, rest) = poll_fn(|cx| match is_canceled.get() {
                true => Poll::Ready(write.as_mut().cancel()),
                false => write.as_mut().poll(cx),
            })
            .await;
        }
        (result != StreamResult::Dropped || rest.remaining() == 0).then(|| (tx, rest.into_vec()))
    }))
}

impl ReadHalf {
    /// Starts what an idle connection waits for next.
    fn start(&mut self, rx: StreamReader<u8>) -> ReadState {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.reserve(READ_BYTES);
        self.consumed = 0;
        start_read(rx, buffer)
    }

    /// Returns the state after a read.
    fn finish_read(&mut self, (rx, result, buffer): ReadOutput) -> ReadState {
        self.buffer = buffer;
        match (result, self.end.take()) {
            (StreamResult::Dropped, Some(end)) => start_end(end),
            (StreamResult::Dropped, None) => ReadState::Ended,
            (_, end) => {
                self.end = end;
                ReadState::Idle(rx)
            }
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let unread = self.buffer.get(self.consumed..).unwrap_or_default();
            if !unread.is_empty() {
                let count = unread.len().min(out.remaining());
                out.put_slice(unread.get(..count).unwrap_or_default());
                self.consumed += count;
                return Poll::Ready(Ok(()));
            }
            self.state = match std::mem::replace(&mut self.state, ReadState::Ended) {
                ReadState::Idle(rx) => self.start(rx),
                ReadState::Busy(mut read) => match read.poll(cx) {
                    Poll::Pending => {
                        self.state = ReadState::Busy(read);
                        return Poll::Pending;
                    }
                    Poll::Ready(output) => self.finish_read(output),
                },
                ReadState::Ending(mut end) => match end.poll(cx) {
                    Poll::Pending => {
                        self.state = ReadState::Ending(end);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Ok(()))) => ReadState::Ended,
                    Poll::Ready(Ok(Err(error))) => {
                        return Poll::Ready(Err(io::Error::other(error.message)));
                    }
                    Poll::Ready(Err(end)) => start_end(end),
                },
                ReadState::Ended => return Poll::Ready(Ok(())),
            };
        }
    }

    /// Cancels what `call` polled last. Returns whom to wake up.
    fn release(&mut self, call: CallId) -> Option<Waker> {
        match &mut self.state {
            ReadState::Busy(read) => {
                let (output, waker) = read.cancel(call)?;
                self.state = self.finish_read(output);
                Some(waker)
            }
            ReadState::Ending(end) => {
                let (output, waker) = end.cancel(call)?;
                self.state = match output {
                    Err(end) => start_end(end),
                    // Reported by the next read.
                    Ok(result) => ReadState::Ending(StreamOperation::new(|_| async { Ok(result) })),
                };
                Some(waker)
            }
            ReadState::Idle(_) | ReadState::Ended => None,
        }
    }
}

impl WriteState {
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            *self = match std::mem::replace(self, Self::Closed) {
                Self::Idle(tx, rest) if rest.is_empty() => {
                    *self = Self::Idle(tx, rest);
                    return Poll::Ready(Ok(()));
                }
                Self::Idle(tx, rest) => start_write(tx, rest),
                Self::Busy(mut write) => match write.poll(cx) {
                    Poll::Pending => {
                        *self = Self::Busy(write);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some((tx, rest))) => Self::Idle(tx, rest),
                    Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                },
                Self::Closed => return Poll::Ready(Ok(())),
            };
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let Self::Idle(tx, _) = std::mem::replace(self, Self::Closed) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        *self = start_write(tx, bytes.to_vec());
        // The bytes are accepted now; a later error fails the next call.
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    /// Cancels what `call` polled last. Returns whom to wake up.
    fn release(&mut self, call: CallId) -> Option<Waker> {
        let Self::Busy(write) = self else {
            return None;
        };
        let (output, waker) = write.cancel(call)?;
        *self = match output {
            Some((tx, rest)) => Self::Idle(tx, rest),
            None => Self::Closed,
        };
        Some(waker)
    }
}

impl HeldConnection for ConnectionState {
    fn release(&self, call: CallId) {
        let reader = self.reading.borrow_mut().release(call);
        let writer = self.writing.borrow_mut().release(call);
        for waker in [reader, writer].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Read for StreamConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.reading.borrow_mut().poll_read(cx, &mut out)
    }
}

impl Write for StreamConnection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.writing.borrow_mut().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.writing.borrow_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = self.0.writing.borrow_mut();
        ready!(writing.poll_flush(cx))?;
        *writing = WriteState::Closed;
        Poll::Ready(Ok(()))
    }
}
