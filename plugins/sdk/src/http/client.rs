//! Requests and answers, over connections that are kept open.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};

use super::body::Body;
use super::exchange::{Exchange, Failed};
use crate::Host;
use crate::types::Error;

/// How many idle connections are kept: as many as a backend works with side
/// by side at its first listing.
const MAX_IDLE: usize = 16;

/// A batch of an answer's body that is read as a whole.
const BATCH: usize = 256 * 1024;

/// How large an answer may be, where the call says nothing.
const MAX_BODY: usize = 4 << 20;

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    body: Bytes,
    timeout: Option<Duration>,
    max_body: usize,
}

impl Call {
    /// A request without a body. The path begins with `/` and holds the
    /// query, both encoded.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Bytes::new(),
            timeout: None,
            max_body: MAX_BODY,
        }
    }

    /// `GET` of this path and query.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Sends this JSON along.
    #[must_use]
    pub fn json(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// Gives up after this long: for [`Client::send`] on the whole answer,
    /// for [`Client::open`] on its head. Without it the engine has all the
    /// time that it takes: the host finds out one that hangs, and breaks its
    /// connections.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Refuses an answer of more bytes than this.
    #[must_use]
    pub fn max_body(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }

    /// Whether sending it twice does no harm.
    fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    fn request(&self) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(self.path.as_str())
            // Required by HTTP/1.1; the host alone knows whom it connects to.
            .header(HOST, HeaderValue::from_static("localhost"))
            .header(
                USER_AGENT,
                HeaderValue::from_static(concat!("rdd/", env!("CARGO_PKG_VERSION"))),
            );
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(Full::new(self.body.clone())).map_err(|error| {
            Error::invalid_argument(format!("{} is no request: {error}", self.name()))
        })
    }
}

/// Status and headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status and headers.
    pub head: Head,
    /// Its body.
    pub body: Bytes,
}

/// Sends requests to the engine.
///
/// Answers of any status are answers; only a request that got none fails:
/// with `unavailable`, `permission-denied`, `timeout`, or `internal` for an
/// answer that is no HTTP or larger than the call allows.
pub struct Client {
    host: Host,
    idle: RefCell<Vec<Exchange>>,
}

impl Client {
    /// A client without connections.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            idle: RefCell::new(Vec::new()),
        }
    }

    /// Sends a request and reads its answer whole, on a connection that is
    /// kept for the next.
    pub async fn send(&self, call: Call) -> Result<Response, Error> {
        let name = call.name();
        let work = async {
            let (head, mut body) = self.start(&call).await?;
            let mut pieces: Vec<Bytes> = Vec::new();
            let mut length = 0;
            while body
                .read_batch(BATCH, |piece| {
                    length += piece.len();
                    // What is beyond the limit is refused below, unread.
                    if length <= call.max_body {
                        pieces.push(piece);
                    }
                })
                .await?
            {
                if length > call.max_body {
                    return Err(Error::internal(format!(
                        "the engine's answer to {name} is larger than {} bytes",
                        call.max_body
                    )));
                }
            }
            self.reuse(body).await;
            Ok(Response {
                head,
                body: join(pieces),
            })
        };
        self.within(call.timeout, &name, work).await
    }

    /// Sends a request on a connection of its own and waits for the head of
    /// its answer.
    pub async fn open(&self, call: Call) -> Result<(Head, Body), Error> {
        let name = call.name();
        self.within(call.timeout, &name, self.start(&call)).await
    }

    async fn within<T>(
        &self,
        limit: Option<Duration>,
        name: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match limit {
            Some(limit) => self.host.timeout(limit, name, work).await,
            None => work.await,
        }
    }

    /// Keeps the connection of a body from [`open`](Self::open) for the next
    /// request, once the body was read to its end.
    pub async fn reuse(&self, body: Body) {
        self.keep(body.into_exchange()).await;
    }

    /// Closes idle connections beyond so many.
    pub fn trim(&self, keep: usize) {
        self.idle.borrow_mut().truncate(keep);
    }

    /// Sends, on a kept connection if that is safe, and reads the head.
    async fn start(&self, call: &Call) -> Result<(Head, Body), Error> {
        if call.is_safe()
            && let Some(exchange) = self.kept().await
        {
            match Self::exchange(exchange, call).await {
                Err(failed) if failed.stale => {}
                result => return result.map_err(|failed| failed.error),
            }
        }
        let exchange = Exchange::open(&self.host).await?;
        Self::exchange(exchange, call)
            .await
            .map_err(|failed| failed.error)
    }

    async fn exchange(mut exchange: Exchange, call: &Call) -> Result<(Head, Body), Failed> {
        let request = call.request().map_err(|error| Failed {
            error,
            stale: false,
        })?;
        let (parts, incoming) = exchange.send(request).await?.into_parts();
        let head = Head {
            status: parts.status,
            headers: parts.headers,
        };
        Ok((head, Body::new(exchange, incoming)))
    }

    /// An idle connection that the engine has not closed.
    async fn kept(&self) -> Option<Exchange> {
        loop {
            let mut exchange = self.idle.borrow_mut().pop()?;
            if exchange.is_fresh().await {
                return Some(exchange);
            }
        }
    }

    async fn keep(&self, mut exchange: Exchange) {
        if self.idle.borrow().len() < MAX_IDLE && exchange.settle().await {
            self.idle.borrow_mut().push(exchange);
        }
    }
}

/// The pieces in one; without copying when there is but one.
fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = Vec::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.into()
}
