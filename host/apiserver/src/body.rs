//! The body of an answer: whole, in pieces that lie in memory already, or a
//! stream that goes on until the watch ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};

enum BodySource {
    Chunks {
        pieces: VecDeque<Bytes>,
        remaining_bytes: u64,
    },
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// The body of an answer. It never fails: a watch that must end says so in its
/// last event.
pub struct ResponseBody(BodySource);

impl ResponseBody {
    /// An empty body.
    pub fn empty() -> Self {
        Self::from_chunks(VecDeque::new())
    }

    /// A body of known length in pieces.
    pub(crate) fn from_chunks(pieces: VecDeque<Bytes>) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self(BodySource::Chunks {
            pieces,
            remaining_bytes: left,
        })
    }

    pub(crate) fn from_stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(BodySource::Stream(Box::pin(stream)))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::from_chunks(VecDeque::from([bytes]))
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            BodySource::Chunks {
                remaining_bytes: left,
                ..
            } => write!(f, "Body({left} bytes)"),
            BodySource::Stream(_) => write!(f, "Body(stream)"),
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            BodySource::Chunks {
                pieces,
                remaining_bytes: left,
            } => Poll::Ready(pieces.pop_front().map(|piece| {
                *left = left.saturating_sub(piece.len() as u64);
                Ok(Frame::data(piece))
            })),
            BodySource::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, BodySource::Chunks { pieces, .. } if pieces.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            BodySource::Chunks {
                remaining_bytes: left,
                ..
            } => SizeHint::with_exact(*left),
            BodySource::Stream(_) => SizeHint::default(),
        }
    }
}
