//! A request to the engine.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method};

use crate::types::Error;

/// The default limit for the body of a response.
const DEFAULT_MAX_BODY_BYTES: usize = 4 << 20;

/// A request to the engine.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    method: Method,
    path: String,
    headers: HeaderMap,
    content_type: HeaderValue,
    body: Bytes,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_body_bytes: usize,
}

impl HttpRequest {
    /// Creates a request without a body. `path` begins with `/` and may include
    /// a query; both must be percent-encoded.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            content_type: HeaderValue::from_static("application/json"),
            body: Bytes::new(),
            timeout: None,
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
        }
    }

    /// Creates a `GET` request.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body, a JSON document.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            content_type,
            body: body.into(),
            ..self
        }
    }

    /// Limits the time to the whole response for [`HttpClient::send`](super::HttpClient::send), and to
    /// its head for [`HttpClient::stream`](super::HttpClient::stream). Without a limit, the engine may take
    /// as long as it needs: the host detects an engine that hangs and closes
    /// its connections.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Limits the body of the response for [`HttpClient::send`](super::HttpClient::send); the default is
    /// 4 MiB.
    #[must_use]
    pub fn max_body_bytes(self, max_body_bytes: usize) -> Self {
        Self {
            max_body_bytes,
            ..self
        }
    }

    /// Returns the path with its query.
    #[cfg(feature = "http2")]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the method and path for messages. The query is left out, since
    /// it may contain secrets.
    pub(crate) fn log_name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// Returns whether sending the request again has no side effects.
    pub(crate) fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    pub(super) fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut request = self.to_hyper_at(&self.path)?;
        // HTTP/1.1 requires the header; only the host has the address.
        request
            .headers_mut()
            .entry(HOST)
            .or_insert(HeaderValue::from_static("localhost"));
        Ok(request)
    }

    /// Converts the request, with its whole URI.
    pub(crate) fn to_hyper_at(&self, uri: &str) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(uri)
            .header(
                USER_AGENT,
                HeaderValue::from_static(concat!("rdd-sdk/", env!("CARGO_PKG_VERSION"))),
            );
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, self.content_type.clone());
        }
        let mut request = request
            .body(Full::new(self.body.clone()))
            .map_err(|error| {
                Error::invalid_argument(format!("invalid request {}: {error}", self.log_name()))
            })?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}
