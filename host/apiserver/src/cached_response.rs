//! Documents that are encoded once, and sent only to clients that do not have them yet.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};

use crate::body::ResponseBody;
use crate::render;

/// A document and the ETag of its content.
#[derive(Debug, Clone)]
pub(crate) struct CachedResponse {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
}

/// Returns a document with the ETag of its content.
pub(crate) fn cached_response(body: Vec<u8>) -> CachedResponse {
    let mut out = String::from("\"");
    for salt in 0_u8..2 {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        body.hash(&mut hasher);
        out.push_str(&format!("{:016X}", hasher.finish()));
    }
    out.push('"');
    CachedResponse {
        body: Bytes::from(body),
        etag: out,
    }
}

/// Returns a response with the document, or 304 if the client has it already.
pub(crate) fn conditional_response(
    headers: &HeaderMap,
    content_type: &'static str,
    document: &CachedResponse,
) -> Response<ResponseBody> {
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|sent| sent.as_bytes() == document.etag.as_bytes());
    let mut response = if is_known {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        render::document(content_type, document.body.clone())
    };
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}
