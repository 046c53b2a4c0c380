//! hyper's IO over a pair of component-model streams.

use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::types::Error;

/// One read takes up to this many bytes from the host: larger ones bought no
/// speed in measurements.
const READ_SIZE: usize = 64 * 1024;

/// A connection that `transport.connect` gave.
pub(super) struct Io {
    reading: Reading,
    writing: Writing,
    /// Tells whether the end of the stream was orderly; taken at that end.
    end: Option<FutureReader<Result<(), Error>>>,
    /// What the last read brought, and how much of it was handed on.
    buffer: Vec<u8>,
    taken: usize,
}

enum Reading {
    Idle(StreamReader<u8>),
    Busy(LocalBoxFuture<'static, (StreamReader<u8>, StreamResult, Vec<u8>)>),
    /// The stream ended; its result is awaited.
    Ending(LocalBoxFuture<'static, Result<(), Error>>),
    Ended,
}

enum Writing {
    Idle(StreamWriter<u8>),
    Busy(LocalBoxFuture<'static, Option<StreamWriter<u8>>>),
    Closed,
}

impl Io {
    pub(super) fn new(
        tx: StreamWriter<u8>,
        rx: StreamReader<u8>,
        end: FutureReader<Result<(), Error>>,
    ) -> Self {
        Self {
            reading: Reading::Idle(rx),
            writing: Writing::Idle(tx),
            end: Some(end),
            buffer: Vec::new(),
            taken: 0,
        }
    }

    fn start_read(&mut self, mut rx: StreamReader<u8>) -> Reading {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.reserve(READ_SIZE);
        self.taken = 0;
        Reading::Busy(
            async move {
                let (result, buffer) = rx.read(buffer).await;
                (rx, result, buffer)
            }
            .boxed_local(),
        )
    }

    /// Nothing more will come: what remains is to learn whether that is well.
    fn finish(&mut self) -> Reading {
        match self.end.take() {
            Some(end) => Reading::Ending(end.into_future().boxed_local()),
            None => Reading::Ended,
        }
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let fresh = self.buffer.get(self.taken..).unwrap_or_default();
            if !fresh.is_empty() {
                let count = fresh.len().min(out.remaining());
                out.put_slice(fresh.get(..count).unwrap_or_default());
                self.taken += count;
                return Poll::Ready(Ok(()));
            }
            let this = &mut *self;
            this.reading = match std::mem::replace(&mut this.reading, Reading::Ended) {
                Reading::Idle(rx) => this.start_read(rx),
                Reading::Busy(mut read) => match read.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.reading = Reading::Busy(read);
                        return Poll::Pending;
                    }
                    Poll::Ready((rx, result, buffer)) => {
                        this.buffer = buffer;
                        match result {
                            StreamResult::Dropped => this.finish(),
                            _ => Reading::Idle(rx),
                        }
                    }
                },
                Reading::Ending(mut end) => match end.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.reading = Reading::Ending(end);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => Reading::Ended,
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Err(io::Error::other(error.message)));
                    }
                },
                Reading::Ended => return Poll::Ready(Ok(())),
            };
        }
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let Writing::Idle(mut tx) = std::mem::replace(&mut self.writing, Writing::Closed) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let count = bytes.len();
        let owned = bytes.to_vec();
        self.writing = Writing::Busy(
            async move {
                let rest = tx.write_all(owned).await;
                rest.is_empty().then_some(tx)
            }
            .boxed_local(),
        );
        // The bytes are ours from here on; an error shows at the next call.
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Writing::Busy(write) = &mut self.writing else {
            return Poll::Ready(Ok(()));
        };
        let tx = ready!(write.as_mut().poll(cx));
        match tx {
            Some(tx) => {
                self.writing = Writing::Idle(tx);
                Poll::Ready(Ok(()))
            }
            None => {
                self.writing = Writing::Closed;
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.writing = Writing::Closed;
        Poll::Ready(Ok(()))
    }
}
