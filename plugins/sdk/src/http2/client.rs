//! Requests over shared connections.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::lock::Mutex;
use http_body_util::{Either, StreamBody};
use hyper::body::Incoming;

use super::connection::{Http2Connection, OpenStream, RequestBody};
use super::error::RequestError;
use super::stream::{Http2Body, Http2Response, Http2Writer};
use crate::Host;
use crate::http::{HttpRequest, HttpResponse, ResponseHead};
use crate::types::Error;

/// A client that sends requests to the engine, several on one connection.
///
/// A request that the engine has certainly not processed is sent a second time
/// on a new connection, and so is one without side effects if the connection
/// ends before the response.
///
/// # Errors
///
/// A response of any status is a success. A request without a response fails
/// with `unavailable`, `permission-denied`, `timeout`, or with `internal` if the
/// response violates HTTP/2 or exceeds the limit of the request.
pub struct Http2Client {
    host: Host,
    connections: RefCell<Vec<Rc<Http2Connection>>>,
    /// Held while a connection is opened, so that concurrent requests share it.
    /// A lock of futures: whoever waits for it can be dropped.
    opening: Mutex<()>,
}

impl Http2Client {
    /// Creates a client without connections.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            connections: RefCell::default(),
            opening: Mutex::new(()),
        }
    }

    /// Sends a request and reads the whole response. Trailers are not returned;
    /// use [`stream`](Self::stream) for them.
    ///
    /// # Errors
    ///
    /// See [`Http2Client`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let name = request.log_name();
        let work = async {
            let (head, mut body) = self.start(&request).await?;
            let body = body.read_to_end(request.max_body_bytes).await?;
            Ok(HttpResponse { head, body })
        };
        self.with_timeout(request.timeout, &name, work).await
    }

    /// Sends a request and returns the head of the response, with the body to
    /// be read in batches.
    ///
    /// # Errors
    ///
    /// See [`Http2Client`].
    pub async fn stream(&self, request: HttpRequest) -> Result<(ResponseHead, Http2Body), Error> {
        let name = request.log_name();
        self.with_timeout(request.timeout, &name, self.start(&request))
            .await
    }

    /// Sends the head of a request, whose body is written while the response is
    /// read. The body of `request` is ignored, and so are its limits. Never sent
    /// twice.
    ///
    /// Write and read concurrently, for example with `join!`: the engine may
    /// stop reading until its response is read.
    ///
    /// # Errors
    ///
    /// See [`Http2Client`].
    pub async fn open(&self, request: HttpRequest) -> Result<(Http2Writer, Http2Response), Error> {
        let name = request.log_name();
        let (parts, _) = to_http2(&request)?.into_parts();
        let stream = self.open_stream().await?;
        let (writer, pieces) = Http2Writer::new(Rc::clone(&stream));
        let request: hyper::Request<RequestBody> =
            hyper::Request::from_parts(parts, Either::Right(StreamBody::new(pieces)));
        let sending = stream.connection_rc();
        let sent_name = name.clone();
        let mut response = async move {
            sending
                .send(&sent_name, request)
                .await
                .map_err(|failed| failed.error)
        }
        .boxed_local();
        // The first poll sends the head.
        let response = match (&mut response).now_or_never() {
            Some(result) => std::future::ready(result).boxed_local(),
            None => response,
        };
        Ok((writer, Http2Response::new(response, stream, name)))
    }

    /// Closes all connections. Requests on them fail with `unavailable`.
    pub fn close(&self) {
        for connection in self.connections.take() {
            connection.tasks().close();
        }
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

    async fn start(&self, request: &HttpRequest) -> Result<(ResponseHead, Http2Body), Error> {
        let name = request.log_name();
        match self.try_start(request, &name).await {
            Err(failed) if failed.was_unprocessed || (failed.was_closed && request.is_safe()) => {
                self.try_start(request, &name).await
            }
            result => result,
        }
        .map_err(|failed| failed.error)
    }

    async fn try_start(
        &self,
        request: &HttpRequest,
        name: &str,
    ) -> Result<(ResponseHead, Http2Body), RequestError> {
        let request = to_http2(request)
            .map_err(RequestError::invalid)?
            .map(Either::Left);
        let stream = self.open_stream().await.map_err(RequestError::invalid)?;
        let response: hyper::Response<Incoming> = stream
            .connection()
            .send(name, request)
            .await
            .inspect_err(|_| stream.complete())?;
        Ok(Http2Body::new(response, stream, name.to_owned()))
    }

    /// Returns a new stream on a connection that has room for it.
    async fn open_stream(&self) -> Result<Rc<OpenStream>, Error> {
        if let Some(stream) = self.stream_on_open_connection() {
            return Ok(stream);
        }
        let _guard = self.opening.lock().await;
        // Another request may have opened one meanwhile.
        if let Some(stream) = self.stream_on_open_connection() {
            return Ok(stream);
        }
        let connection = Http2Connection::open(&self.host).await?;
        self.connections.borrow_mut().push(Rc::clone(&connection));
        Ok(OpenStream::new(connection))
    }

    fn stream_on_open_connection(&self) -> Option<Rc<OpenStream>> {
        // Streams of a connection that accepts no more keep it until they end.
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.is_usable());
        let connection = connections
            .iter()
            .find(|connection| !connection.is_full())?;
        Some(OpenStream::new(Rc::clone(connection)))
    }
}

/// Converts a request. The authority is the host's matter, as in HTTP/1.1.
fn to_http2(
    request: &HttpRequest,
) -> Result<hyper::Request<http_body_util::Full<bytes::Bytes>>, Error> {
    let mut converted = request.to_hyper_at(&format!("http://localhost{}", request.path()))?;
    *converted.version_mut() = http::Version::HTTP_2;
    Ok(converted)
}
