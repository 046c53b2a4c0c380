//! The parts of a stream: the writer of the request's body, the response, and
//! its body.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use futures::{Stream, StreamExt};
use h2::Reason;
use http_body::{Body as _, Frame};
use hyper::HeaderMap;
use hyper::body::Incoming;

use super::connection::OpenStream;
use super::error::request_error;
use crate::http::ResponseHead;
use crate::types::Error;

/// The pieces of a request's body, as hyper reads them.
pub(super) struct PieceStream {
    pieces: mpsc::Receiver<Bytes>,
    is_finished: Rc<Cell<bool>>,
}

impl Stream for PieceStream {
    type Item = Result<Frame<Bytes>, h2::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(self.pieces.poll_next_unpin(cx));
        Poll::Ready(match piece {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.is_finished.get() => None,
            // hyper resets the stream for this reason.
            None => Some(Err(Reason::CANCEL.into())),
        })
    }
}

/// The writer of a request's body. Dropping it before
/// [`finish`](Self::finish) resets the stream.
pub struct Http2Writer {
    // Dropped in this order: first what hyper reads, then the stream.
    pieces: mpsc::Sender<Bytes>,
    stream: Rc<OpenStream>,
    is_finished: Rc<Cell<bool>>,
}

impl Http2Writer {
    /// Creates a writer and what it writes.
    pub(super) fn new(stream: Rc<OpenStream>) -> (Self, PieceStream) {
        // One piece may wait; hyper takes it when the engine has room for it.
        let (sender, receiver) = mpsc::channel(0);
        let is_finished = Rc::new(Cell::new(false));
        let pieces = PieceStream {
            pieces: receiver,
            is_finished: Rc::clone(&is_finished),
        };
        let writer = Self {
            pieces: sender,
            stream,
            is_finished,
        };
        (writer, pieces)
    }

    /// Writes bytes. Waits while the engine has not consumed the previous ones.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the engine has ended the stream or the
    /// connection failed; the response has the cause.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let mut bytes = Some(bytes.into());
        let pieces = &mut self.pieces;
        let written = self.stream.connection().tasks().drive(|cx| {
            ready!(pieces.poll_ready(cx))?;
            Poll::Ready(match bytes.take() {
                Some(bytes) => pieces.start_send(bytes),
                None => Ok(()),
            })
        });
        written
            .await
            .map_err(|_| Error::unavailable("the engine accepts no more of the request's body"))
    }

    /// Ends the body.
    pub fn finish(self) {
        self.is_finished.set(true);
    }
}

impl Drop for Http2Writer {
    fn drop(&mut self) {
        self.pieces.close_channel();
        self.stream.connection().tasks().poll();
    }
}

type ResponseFuture = LocalBoxFuture<'static, Result<hyper::Response<Incoming>, Error>>;

/// A response whose head has not been received. Dropping it resets the stream.
pub struct Http2Response {
    response: ResponseFuture,
    stream: Rc<OpenStream>,
    name: String,
}

impl Http2Response {
    pub(super) fn new(response: ResponseFuture, stream: Rc<OpenStream>, name: String) -> Self {
        Self {
            response,
            stream,
            name,
        }
    }

    /// Waits for the head of the response. Some engines send it only after the
    /// whole body of the request.
    ///
    /// # Errors
    ///
    /// See [`Http2Client`](super::Http2Client).
    pub async fn head(self) -> Result<(ResponseHead, Http2Body), Error> {
        let received = self.response.await?;
        Ok(Http2Body::new(received, self.stream, self.name))
    }
}

/// The body of a response. Dropping it before its end resets the stream.
pub struct Http2Body {
    // Dropped in this order: first hyper's handle, then the stream.
    incoming: Incoming,
    stream: Rc<OpenStream>,
    name: String,
    trailers: Option<HeaderMap>,
}

impl Http2Body {
    pub(super) fn new(
        response: hyper::Response<Incoming>,
        stream: Rc<OpenStream>,
        name: String,
    ) -> (ResponseHead, Self) {
        let (parts, incoming) = response.into_parts();
        if incoming.is_end_stream() {
            stream.complete();
        }
        let head = ResponseHead {
            status: parts.status,
            headers: parts.headers,
        };
        let body = Self {
            incoming,
            stream,
            name,
            trailers: None,
        };
        (head, body)
    }

    /// Waits for bytes, then passes all available bytes to `take`, piece by
    /// piece and without further waiting, until it has passed at least
    /// `min_bytes`. Returns false at the end of the body.
    ///
    /// Bytes that are not read hold back the engine.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the connection fails or the engine gives up
    /// the stream, and with `internal` if the engine violates HTTP/2.
    pub async fn read_batch(
        &mut self,
        min_bytes: usize,
        mut take: impl FnMut(Bytes),
    ) -> Result<bool, Error> {
        let Self {
            incoming,
            stream,
            name,
            trailers,
        } = self;
        let mut taken = 0;
        // Each attempt is made twice: before and after the connection is read.
        let mut was_read = true;
        let batch = stream.connection().tasks().drive(|cx| {
            was_read = !was_read;
            loop {
                match Pin::new(&mut *incoming).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(taken > 0)),
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(request_error(name, &error)));
                    }
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => {
                            taken += bytes.len();
                            take(bytes);
                            if taken >= min_bytes {
                                return Poll::Ready(Ok(true));
                            }
                        }
                        Err(frame) => *trailers = frame.into_trailers().ok(),
                    },
                    Poll::Pending if was_read && taken > 0 => return Poll::Ready(Ok(true)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let batch = batch.await;
        if batch.is_err() || incoming.is_end_stream() {
            // There is nothing left to reset.
            stream.complete();
        }
        batch
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    ///
    /// As [`read_batch`](Self::read_batch), and with `internal` if the body has
    /// more than `max_bytes`.
    pub async fn read_to_end(&mut self, max_bytes: usize) -> Result<Bytes, Error> {
        let mut body = Vec::new();
        let mut length = 0_usize;
        while self
            .read_batch(max_bytes, |bytes| {
                length = length.saturating_add(bytes.len());
                if length <= max_bytes {
                    body.extend_from_slice(&bytes);
                }
            })
            .await?
        {
            if length > max_bytes {
                return Err(Error::internal(format!(
                    "the engine's response to {} is larger than {max_bytes} bytes",
                    self.name
                )));
            }
        }
        Ok(body.into())
    }

    /// Returns the trailers, once the body was read to its end and if the engine
    /// sent some.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}
