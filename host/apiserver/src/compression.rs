//! Compression of large responses, for clients that accept gzip.
//!
//! Written by hand around `miniz_oxide`, which distribution uses as well: a gzip
//! stream is a fixed header, what `miniz_oxide` returns, and a checksum.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, Response};
use miniz_oxide::deflate::CompressionLevel;
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};

use crate::body::ResponseBody;

/// The size of a response, in bytes, from which it is compressed, as in
/// kube-apiserver: smaller ones gain less than they cost.
const MIN_BYTES: u64 = 128 * 1024;

/// The level of kube-apiserver: the fastest one.
const LEVEL: CompressionLevel = CompressionLevel::BestSpeed;

/// Bytes of compressed output in one chunk of the body.
const CHUNK_BYTES: usize = 64 * 1024;

/// The header of a gzip stream: deflate, no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

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
    let body = match body.into_chunks() {
        Ok(chunks) => ResponseBody::from_chunks(gzip(&chunks)),
        Err(stream) => return Response::from_parts(parts, stream),
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
fn gzip(chunks: &VecDeque<Bytes>) -> VecDeque<Bytes> {
    let mut compressor = CompressorOxide::with_format_and_level(DataFormat::Raw, LEVEL);
    let mut checksum = crc32fast::Hasher::new();
    let mut length = 0_u32;
    let mut output = GzipOutput::default();
    output.chunk.extend_from_slice(&HEADER);
    for chunk in chunks {
        checksum.update(chunk);
        // The length is counted modulo 2^32.
        length = length.wrapping_add(chunk.len() as u32);
        output.deflate(&mut compressor, chunk, MZFlush::None);
    }
    output.deflate(&mut compressor, &[], MZFlush::Finish);
    output
        .chunk
        .extend_from_slice(&checksum.finalize().to_le_bytes());
    output.chunk.extend_from_slice(&length.to_le_bytes());
    output.chunks.push_back(output.chunk.into());
    output.chunks
}

/// The compressed chunks, and the one that is being filled.
#[derive(Default)]
struct GzipOutput {
    chunks: VecDeque<Bytes>,
    chunk: Vec<u8>,
}

impl GzipOutput {
    /// Appends what the compressor returns for `input`, up to the end of the stream
    /// if `flush` finishes it.
    fn deflate(&mut self, compressor: &mut CompressorOxide, mut input: &[u8], flush: MZFlush) {
        loop {
            let filled = self.chunk.len();
            self.chunk
                .resize(filled.max(CHUNK_BYTES / 2) + CHUNK_BYTES / 2, 0);
            let space = self.chunk.get_mut(filled..).unwrap_or_default();
            let space_bytes = space.len();
            let result = deflate(compressor, input, space, flush);
            self.chunk.truncate(filled + result.bytes_written);
            input = input.get(result.bytes_consumed..).unwrap_or_default();
            if self.chunk.len() >= CHUNK_BYTES {
                self.chunks
                    .push_back(std::mem::take(&mut self.chunk).into());
            }
            // A call that leaves space has taken all input and returned all output.
            if result.status.is_err() || (input.is_empty() && result.bytes_written < space_bytes) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decompresses a gzip stream and checks its checksum and length.
    fn gunzip(stream: &[u8]) -> Vec<u8> {
        let body = &stream[HEADER.len()..stream.len() - 8];
        let out = miniz_oxide::inflate::decompress_to_vec(body).unwrap();
        let trailer = &stream[stream.len() - 8..];
        assert_eq!(trailer[..4], crc32fast::hash(&out).to_le_bytes());
        assert_eq!(trailer[4..], (out.len() as u32).to_le_bytes());
        out
    }

    fn pseudo_random(bytes: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        };
        (0..bytes).map(next).collect()
    }

    #[test]
    fn chunks_are_one_gzip_stream() {
        for content in [
            Vec::new(),
            b"{\"kind\":\"ConfigMap\"}".repeat(100_000),
            pseudo_random(700_000),
        ] {
            let chunks: VecDeque<Bytes> = content
                .chunks(256 * 1024)
                .map(Bytes::copy_from_slice)
                .collect();
            let stream = gzip(&chunks).iter().fold(Vec::new(), |mut all, chunk| {
                all.extend_from_slice(chunk);
                all
            });
            assert!(gunzip(&stream) == content, "{} bytes differ", content.len());
        }
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
