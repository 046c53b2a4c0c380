//! The built files of the page, compressed by the build script.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, Response, StatusCode};
use rdd_gateway::{GatewayBody, text_response};

use crate::response_headers::response_headers;

/// A built file.
pub(crate) struct PageFile {
    pub(crate) name: &'static str,
    /// The entity tag, in quotes.
    entity_tag: &'static str,
    /// The number of bytes that it has when it is not compressed.
    size: usize,
    gzip: &'static [u8],
}

/// All of them.
pub(crate) static FILES: &[PageFile] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl PageFile {
    /// Returns the file of this name. Without a name, it is the page.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let name = if name.is_empty() { "index.html" } else { name };
        FILES.iter().find(|file| file.name == name)
    }

    /// Returns the response to a request for the file. It is validated each time:
    /// a new version of the daemon has the same names.
    pub(crate) fn response(&self, request: &HeaderMap) -> Response<GatewayBody> {
        let mut headers = response_headers();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ETAG, HeaderValue::from_static(self.entity_tag));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if self.is_cached(request) {
            let mut response = text_response(StatusCode::NOT_MODIFIED, "");
            *response.headers_mut() = headers;
            return response;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type()));
        let mut response = if accepts_gzip(request) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            text_response(StatusCode::OK, self.gzip)
        } else {
            text_response(StatusCode::OK, self.content())
        };
        *response.headers_mut() = headers;
        response
    }

    fn is_cached(&self, request: &HeaderMap) -> bool {
        let tags = request.get_all(IF_NONE_MATCH).iter();
        tags.filter_map(|value| value.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .any(|tag| tag.trim().trim_start_matches("W/") == self.entity_tag)
    }

    fn media_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        }
    }

    /// Returns the content. Browsers accept gzip; this is for other programs.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.size);
        // The build script compressed it, so it can be decompressed.
        GzDecoder::new(self.gzip).read_to_end(&mut content).ok();
        content
    }
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = matches!(parts.next(), Some("gzip" | "*"));
            is_gzip && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(file: &PageFile, name: http::header::HeaderName, value: &str) -> (u16, Vec<u8>) {
        let request = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        let response = file.response(&request);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap();
        (status, body.to_bytes().to_vec())
    }

    #[tokio::test]
    async fn every_file_has_a_type_and_can_be_decompressed() {
        assert!(PageFile::find("").is_some_and(|file| file.name == "index.html"));
        for file in FILES {
            assert_ne!(
                file.media_type(),
                "text/plain; charset=utf-8",
                "{}",
                file.name
            );
            let (_, plain) = get(file, ACCEPT_ENCODING, "gzip;q=0, br").await;
            assert_eq!(plain.len(), file.size, "{}", file.name);
            let (_, gzip) = get(file, ACCEPT_ENCODING, "br, gzip").await;
            assert!(gzip.starts_with(&[0x1f, 0x8b]), "{}", file.name);
        }
    }

    #[tokio::test]
    async fn a_file_that_the_browser_has_is_not_sent_again() {
        for file in FILES {
            let (status, body) = get(file, IF_NONE_MATCH, file.entity_tag).await;
            assert_eq!((status, body.len()), (304, 0));
            let (status, _) = get(file, IF_NONE_MATCH, "\"other\"").await;
            assert_eq!(status, 200);
        }
    }
}
