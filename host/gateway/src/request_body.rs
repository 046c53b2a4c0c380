//! The body of a request, which has to arrive in time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

/// An error while the body of a request is read.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// The peer did not send the whole body in time.
    #[error("the request body did not arrive within {0:?}")]
    Timeout(Duration),
}

/// The body of a request. Reading it fails if it is not complete in time, counted
/// from the headers of the request.
pub struct RequestBody {
    inner: Incoming,
    limit: Duration,
    /// `None` if there is nothing to read.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    /// Limits the time until the whole body was read to `limit` from now on.
    pub(crate) fn new(inner: Incoming, limit: Duration) -> Self {
        let deadline = (!inner.is_end_stream()).then(|| Box::pin(sleep(limit)));
        Self {
            inner,
            limit,
            deadline,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(RequestBodyError::from)));
        }
        let is_late = match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx).is_ready(),
            None => false,
        };
        match is_late {
            true => Poll::Ready(Some(Err(RequestBodyError::Timeout(self.limit)))),
            false => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
