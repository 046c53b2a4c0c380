//! Requests and responses, over a pool of connections.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, UPGRADE, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};

use super::body::ResponseBody;
use super::connection::{HttpConnection, RequestError, UpgradeOutcome};
use super::upgrade::{UpgradedReader, UpgradedWriter};
use crate::Host;
use crate::types::Error;

/// The maximum number of idle connections: as many as a backend uses
/// concurrently for its first listing.
const MAX_IDLE_CONNECTIONS: usize = 16;

/// The minimum size of a batch when a whole body is read.
const BATCH_BYTES: usize = 256 * 1024;

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

    /// Limits the time to the whole response for [`HttpClient::send`], and to
    /// its head for [`HttpClient::stream`]. Without a limit, the engine may take
    /// as long as it needs: the host detects an engine that hangs and closes
    /// its connections.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Limits the body of the response for [`HttpClient::send`]; the default is
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

    fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>, Error> {
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
                HeaderValue::from_static(concat!("rdd/", env!("CARGO_PKG_VERSION"))),
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

/// The status and headers of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// A response with its whole body.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status and headers.
    pub head: ResponseHead,
    /// The body.
    pub body: Bytes,
}

/// The response to a request to upgrade the connection.
pub enum UpgradeResponse {
    /// The engine switched to the protocol. The connection is closed when both
    /// halves are dropped.
    Upgraded {
        /// The status and headers.
        head: ResponseHead,
        /// The bytes from the engine.
        reader: UpgradedReader,
        /// The bytes to the engine.
        writer: UpgradedWriter,
    },
    /// The engine sent another response.
    Refused(HttpResponse),
}

/// A client that sends requests to the engine and keeps idle connections for
/// reuse. It sends a request without side effects a second time if the engine
/// closes a reused connection; other requests get a new connection and are sent
/// once.
///
/// # Errors
///
/// A response of any status is a success. A request without a response fails
/// with `unavailable`, `permission-denied`, `timeout`, or with `internal` if the
/// response is not HTTP or exceeds the limit of the request.
pub struct HttpClient {
    host: Host,
    idle: RefCell<Vec<HttpConnection>>,
}

impl HttpClient {
    /// Creates a client without connections.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            idle: RefCell::new(Vec::new()),
        }
    }

    /// Sends a request and reads the whole response. The connection is kept for
    /// reuse.
    ///
    /// # Errors
    ///
    /// See [`HttpClient`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let name = request.log_name();
        let work = async {
            let (head, body) = self.start(&request).await?;
            let body = self.read_body(body, &name, request.max_body_bytes).await?;
            Ok(HttpResponse { head, body })
        };
        self.with_timeout(request.timeout, &name, work).await
    }

    /// Sends a request and returns the head of the response, with the body to
    /// be read in batches.
    ///
    /// # Errors
    ///
    /// See [`HttpClient`].
    pub async fn stream(
        &self,
        request: HttpRequest,
    ) -> Result<(ResponseHead, ResponseBody), Error> {
        let name = request.log_name();
        self.with_timeout(request.timeout, &name, self.start(&request))
            .await
    }

    /// Sends a request with the header `Upgrade: protocol`, on a new connection
    /// and once. If the engine switches to that protocol, returns both halves of
    /// the connection; otherwise the response, with its whole body.
    ///
    /// # Errors
    ///
    /// See [`HttpClient`].
    pub async fn upgrade(
        &self,
        request: HttpRequest,
        protocol: &'static str,
    ) -> Result<UpgradeResponse, Error> {
        let name = request.log_name();
        let work = async {
            let mut upgrade = request.to_hyper()?;
            let headers = upgrade.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(protocol));
            let connection = HttpConnection::open(&self.host).await?;
            let outcome = connection.upgrade(upgrade).await;
            match outcome.map_err(|failed| failed.error)? {
                UpgradeOutcome::Upgraded(response, (reader, writer)) => {
                    let head = response_head(response).0;
                    Ok(UpgradeResponse::Upgraded {
                        head,
                        reader,
                        writer,
                    })
                }
                UpgradeOutcome::Refused(connection, response) => {
                    let (head, incoming) = response_head(response);
                    let body = ResponseBody::new(connection, incoming);
                    let body = self.read_body(body, &name, request.max_body_bytes).await?;
                    Ok(UpgradeResponse::Refused(HttpResponse { head, body }))
                }
            }
        };
        self.with_timeout(request.timeout, &name, work).await
    }

    /// Reads a body to its end and keeps its connection for reuse.
    async fn read_body(
        &self,
        mut body: ResponseBody,
        name: &str,
        max_bytes: usize,
    ) -> Result<Bytes, Error> {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut length = 0;
        while body
            .read_batch(BATCH_BYTES, |piece| {
                length += piece.len();
                // Beyond the limit the response is rejected below.
                if length <= max_bytes {
                    pieces.push(piece);
                }
            })
            .await?
        {
            if length > max_bytes {
                return Err(Error::internal(format!(
                    "the engine's response to {name} is larger than {max_bytes} bytes"
                )));
            }
        }
        self.reuse(body).await;
        Ok(concat(pieces))
    }

    async fn with_timeout<T>(
        &self,
        limit: Option<Duration>,
        name: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match limit {
            Some(limit) => {
                let what = format!("a response to {name}");
                self.host.timeout(limit, &what, work).await
            }
            None => work.await,
        }
    }

    /// Keeps the connection of a body from [`stream`](Self::stream) for reuse.
    /// Call it after the body was read to its end.
    pub async fn reuse(&self, body: ResponseBody) {
        let mut connection = body.into_connection();
        if self.idle.borrow().len() < MAX_IDLE_CONNECTIONS && connection.wait_until_ready().await {
            self.idle.borrow_mut().push(connection);
        }
    }

    /// Closes idle connections until at most `max_idle` are left.
    pub fn close_idle(&self, max_idle: usize) {
        self.idle.borrow_mut().truncate(max_idle);
    }

    /// Sends a request, on an idle connection if the request may be sent twice,
    /// and reads the head of the response.
    async fn start(&self, request: &HttpRequest) -> Result<(ResponseHead, ResponseBody), Error> {
        if request.method.is_safe()
            && let Some(connection) = self.take_idle().await
        {
            match Self::send_on(connection, request).await {
                Err(failed) if failed.was_closed => {}
                result => return result.map_err(|failed| failed.error),
            }
        }
        let connection = HttpConnection::open(&self.host).await?;
        Self::send_on(connection, request)
            .await
            .map_err(|failed| failed.error)
    }

    async fn send_on(
        mut connection: HttpConnection,
        request: &HttpRequest,
    ) -> Result<(ResponseHead, ResponseBody), RequestError> {
        let request = request.to_hyper().map_err(|error| RequestError {
            error,
            was_closed: false,
        })?;
        let (head, incoming) = response_head(connection.send(request).await?);
        Ok((head, ResponseBody::new(connection, incoming)))
    }

    /// Takes an idle connection that the engine has not closed.
    async fn take_idle(&self) -> Option<HttpConnection> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.is_reusable().await {
                return Some(connection);
            }
        }
    }
}

fn response_head(response: hyper::Response<Incoming>) -> (ResponseHead, Incoming) {
    let (parts, incoming) = response.into_parts();
    let head = ResponseHead {
        status: parts.status,
        headers: parts.headers,
    };
    (head, incoming)
}

/// Concatenates the pieces of a body, without a copy if there is only one.
fn concat(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut body = Vec::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        body.extend_from_slice(&piece);
    }
    body.into()
}
