//! Compression of large responses, for clients that accept gzip.

use std::collections::VecDeque;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response};

use crate::body::ResponseBody;

/// The size of a response, in bytes, from which it is compressed, as in
/// kube-apiserver: smaller ones gain less than they cost.
const MIN_BYTES: u64 = 128 * 1024;

/// Returns whether a client accepts gzip. As in kube-apiserver, it must be listed
/// without a quality.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim() == "gzip"))
}

/// Compresses a large response for a client that accepts it.
pub(crate) fn compress(
    request_headers: &HeaderMap,
    response: Response<ResponseBody>,
) -> Response<ResponseBody> {
    let is_large = response
        .body()
        .known_length()
        .is_some_and(|length| length > MIN_BYTES);
    if !is_large || !accepts_gzip(request_headers) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let chunks = match body.into_chunks() {
        Ok(chunks) => chunks,
        Err(stream) => return Response::from_parts(parts, stream),
    };
    let body = match gzip(&chunks) {
        Ok(compressed) => ResponseBody::from_chunks([compressed].into()),
        Err(error) => {
            tracing::warn!(%error, "cannot compress a response");
            return Response::from_parts(parts, ResponseBody::from_chunks(chunks));
        }
    };
    parts
        .headers
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts
        .headers
        .append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, body)
}

/// Returns the chunks as one gzip stream.
fn gzip(chunks: &VecDeque<Bytes>) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for chunk in chunks {
        encoder.write_all(chunk)?;
    }
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn chunks_are_one_gzip_stream() {
        let content = b"{\"kind\":\"ConfigMap\"}".repeat(100_000);
        let chunks: VecDeque<Bytes> = content
            .chunks(256 * 1024)
            .map(Bytes::copy_from_slice)
            .collect();
        let stream = gzip(&chunks).unwrap();
        assert!(stream.len() < content.len() / 10, "{} bytes", stream.len());
        let mut decompressed = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&stream[..]);
        decoder.read_to_end(&mut decompressed).unwrap();
        assert!(decompressed == content, "the content differs");
    }

    #[test]
    fn gzip_is_accepted_without_a_quality_only() {
        let accepts = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        assert!(accepts("gzip") && accepts("deflate, gzip"));
        assert!(!accepts("gzip;q=0.5") && !accepts("br") && !accepts("identity"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
