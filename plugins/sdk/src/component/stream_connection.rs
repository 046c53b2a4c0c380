//! A connection to the engine over a pair of component-model streams, with
//! hyper's I/O traits.

use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::types::Error;

/// The maximum size of one read from the host. Larger reads were not faster in
/// measurements.
const READ_BYTES: usize = 64 * 1024;

/// A connection opened by `transport.connect`.
pub(super) struct StreamConnection {
    read_state: ReadState,
    write_state: WriteState,
    /// The result that accompanies the incoming stream, awaited at its end.
    end: Option<FutureReader<Result<(), Error>>>,
    /// The bytes of the last read.
    buffer: Vec<u8>,
    /// The number of bytes of `buffer` that were returned to the reader.
    consumed: usize,
}

enum ReadState {
    Idle(StreamReader<u8>),
    Busy(LocalBoxFuture<'static, (StreamReader<u8>, StreamResult, Vec<u8>)>),
    /// The stream ended, and its result is awaited.
    Ending(LocalBoxFuture<'static, Result<(), Error>>),
    Ended,
}

enum WriteState {
    Idle(StreamWriter<u8>),
    Busy(LocalBoxFuture<'static, Option<StreamWriter<u8>>>),
    Closed,
}

impl StreamConnection {
    pub(super) fn new(
        tx: StreamWriter<u8>,
        rx: StreamReader<u8>,
        end: FutureReader<Result<(), Error>>,
    ) -> Self {
        Self {
            read_state: ReadState::Idle(rx),
            write_state: WriteState::Idle(tx),
            end: Some(end),
            buffer: Vec::new(),
            consumed: 0,
        }
    }

    fn start_read(&mut self, mut rx: StreamReader<u8>) -> ReadState {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.reserve(READ_BYTES);
        self.consumed = 0;
        ReadState::Busy(
            async move {
                let (result, buffer) = rx.read(buffer).await;
                (rx, result, buffer)
            }
            .boxed_local(),
        )
    }

    /// Returns the state that awaits the result of the ended stream.
    fn finish_read(&mut self) -> ReadState {
        match self.end.take() {
            Some(end) => ReadState::Ending(end.into_future().boxed_local()),
            None => ReadState::Ended,
        }
    }
}

impl Read for StreamConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let unread = self.buffer.get(self.consumed..).unwrap_or_default();
            if !unread.is_empty() {
                let count = unread.len().min(out.remaining());
                out.put_slice(unread.get(..count).unwrap_or_default());
                self.consumed += count;
                return Poll::Ready(Ok(()));
            }
            let this = &mut *self;
            this.read_state = match std::mem::replace(&mut this.read_state, ReadState::Ended) {
                ReadState::Idle(rx) => this.start_read(rx),
                ReadState::Busy(mut read) => match read.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.read_state = ReadState::Busy(read);
                        return Poll::Pending;
                    }
                    Poll::Ready((rx, result, buffer)) => {
                        this.buffer = buffer;
                        match result {
                            StreamResult::Dropped => this.finish_read(),
                            _ => ReadState::Idle(rx),
                        }
                    }
                },
                ReadState::Ending(mut end) => match end.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.read_state = ReadState::Ending(end);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => ReadState::Ended,
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(io::Error::other(error.message)));
                    }
                },
                ReadState::Ended => return Poll::Ready(Ok(())),
            };
        }
    }
}

impl Write for StreamConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let WriteState::Idle(mut tx) = std::mem::replace(&mut self.write_state, WriteState::Closed)
        else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let count = bytes.len();
        let owned = bytes.to_vec();
        self.write_state = WriteState::Busy(
            async move {
                let rest = tx.write_all(owned).await;
                rest.is_empty().then_some(tx)
            }
            .boxed_local(),
        );
        // The bytes are accepted now; a later error fails the next call.
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WriteState::Busy(write) = &mut self.write_state else {
            return Poll::Ready(Ok(()));
        };
        let tx = ready!(write.as_mut().poll(cx));
        match tx {
            Some(tx) => {
                self.write_state = WriteState::Idle(tx);
                Poll::Ready(Ok(()))
            }
            None => {
                self.write_state = WriteState::Closed;
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.write_state = WriteState::Closed;
        Poll::Ready(Ok(()))
    }
}
