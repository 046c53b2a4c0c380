//! The body of a response: chunks in memory, or the stream of a watch.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};

enum BodySource {
    Chunks {
        chunks: VecDeque<Bytes>,
        remaining_bytes: u64,
    },
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// The body of a response. It never fails: if a watch ends with an error, the error
/// is its last event.
pub struct ResponseBody(BodySource);

impl ResponseBody {
    /// Returns an empty body.
    pub fn empty() -> Self {
        Self::from_chunks(VecDeque::new())
    }

    /// Returns a body of known length.
    pub(crate) fn from_chunks(chunks: VecDeque<Bytes>) -> Self {
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self(BodySource::Chunks {
            chunks,
            remaining_bytes: left,
        })
    }

    /// Returns a body of unknown length.
    pub(crate) fn from_stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(BodySource::Stream(Box::pin(stream)))
    }
}

impl ResponseBody {
    /// Returns the number of bytes that are left; `None` for a stream.
    pub(crate) fn known_length(&self) -> Option<u64> {
        match &self.0 {
            BodySource::Chunks {
                remaining_bytes, ..
            } => Some(*remaining_bytes),
            BodySource::Stream(_) => None,
        }
    }

    /// Returns the chunks.
    ///
    /// # Errors
    /// Returns the body itself if it is a stream.
    pub(crate) fn into_chunks(self) -> Result<VecDeque<Bytes>, Self> {
        match self.0 {
            BodySource::Chunks { chunks, .. } => Ok(chunks),
            BodySource::Stream(_) => Err(self),
        }
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
                chunks,
                remaining_bytes: left,
            } => Poll::Ready(chunks.pop_front().map(|chunk| {
                *left = left.saturating_sub(chunk.len() as u64);
                Ok(Frame::data(chunk))
            })),
            BodySource::Stream(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|chunk| Ok(Frame::data(chunk)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, BodySource::Chunks { chunks, .. } if chunks.is_empty())
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
