//! A response body that ends with the session of the browser, or with the token, that
//! requested it, such as that of a watch.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use rdd_core::SessionEnd;

use crate::response::GatewayBody;

/// The session of a response has ended.
#[derive(Debug, thiserror::Error)]
#[error("the session has ended")]
struct SessionEndError;

/// A body that fails once a session has ended, so that the client notices that it is
/// not complete.
pub(crate) struct EndingBody {
    inner: GatewayBody,
    end: BoxFuture<'static, ()>,
    has_ended: bool,
}

impl EndingBody {
    pub(crate) fn new(inner: GatewayBody, mut end: SessionEnd) -> Self {
        Self {
            inner,
            end: Box::pin(async move { end.ended().await }),
            has_ended: false,
        }
    }
}

impl Body for EndingBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // First, since a body may always have something to send.
        if self.end.as_mut().poll(cx).is_ready() {
            self.has_ended = true;
            return Poll::Ready(Some(Err(SessionEndError.into())));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
