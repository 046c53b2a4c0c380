//! The part of a request's body that no handler has read.

use std::pin::{Pin, pin};

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Response, Version};
use http_body_util::BodyExt as _;

use crate::body::ResponseBody;

/// The most that is discarded, in bytes, as in the HTTP server of Go: sending more
/// takes a client longer than opening another connection.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;

/// What decides about a body after its request was handled.
pub(crate) struct UnreadBody {
    /// The client sends the body only after it was asked to.
    is_awaited: bool,
    version: Version,
}

impl UnreadBody {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self {
            is_awaited: parts.headers.contains_key(EXPECT),
            version: parts.version,
        }
    }

    /// Reads the rest of a body, so that its connection can be used for another
    /// request. If that takes too long, the response says that the connection ends:
    /// otherwise, a client may send its next request to a closed connection.
    pub(crate) async fn finish<B>(self, body: Pin<&mut B>, response: &mut Response<ResponseBody>)
    where
        B: http_body::Body<Data = Bytes>,
    {
        if body.is_end_stream() || (!self.is_awaited && discard(body).await) {
            return;
        }
        // A stream of HTTP/2 ends alone.
        if self.version <= Version::HTTP_11 {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Returns whether the body was read to its end.
async fn discard<B>(body: Pin<&mut B>) -> bool
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut left = MAX_DISCARDED_BYTES;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return false;
        };
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
            return false;
        };
        left = rest;
    }
    true
}
