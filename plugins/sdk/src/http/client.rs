//! Requests and responses, over a pool of connections.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::{HeaderMap, StatusCode};

use super::body::ResponseBody;
use super::connection::{HttpConnection, RequestError, UpgradeOutcome};
use super::request::HttpRequest;
use super::upgrade::{UpgradedReader, UpgradedWriter};
use crate::Host;
use crate::types::Error;

/// The maximum number of idle connections: as many as a backend uses
/// concurrently for its first listing.
const MAX_IDLE_CONNECTIONS: usize = 16;

/// The minimum size of a batch when a whole body is read.
const BATCH_BYTES: usize = 256 * 1024;

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
        if request.is_safe()
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
