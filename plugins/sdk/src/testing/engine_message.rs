//! The requests and responses of a scripted engine.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use futures::{FutureExt, SinkExt, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::Incoming;

use super::scripted_connection::ScriptedConnection;
use crate::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use crate::types::Error;

/// A request that the backend has sent, with its whole body.
#[derive(Clone, Debug)]
pub struct EngineRequest {
    /// The method.
    pub method: Method,
    /// The path with its query, as it was sent.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl EngineRequest {
    /// Reads the whole request.
    pub(super) async fn read(request: hyper::Request<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map(ToString::to_string);
        Ok(Self {
            method: parts.method,
            target: target.unwrap_or_default(),
            headers: parts.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    /// Returns the path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the query without the question mark, or "".
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

type UpgradeHandler = Box<dyn FnOnce(ScriptedConnection) -> LocalBoxFuture<'static, ()>>;

/// A response to a request.
pub struct EngineResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ResponseContent,
    pub(super) delay: Duration,
    pub(super) upgrade: Option<UpgradeHandler>,
}

pub(super) type ResponseStream = LocalBoxStream<'static, io::Result<Frame<Bytes>>>;

/// The body of a response.
pub(super) enum ResponseContent {
    Complete(Bytes),
    /// A body and trailers.
    WithTrailers(Bytes, HeaderMap),
    Stream(ResponseStream),
}

impl ResponseContent {
    pub(super) fn into_body(self) -> Either<Full<Bytes>, StreamBody<ResponseStream>> {
        match self {
            Self::Complete(bytes) => Either::Left(Full::new(bytes)),
            Self::WithTrailers(bytes, trailers) => {
                let frames = [Frame::data(bytes), Frame::trailers(trailers)];
                let frames = futures::stream::iter(frames.into_iter().map(Ok));
                Either::Right(StreamBody::new(frames.boxed_local()))
            }
            Self::Stream(stream) => Either::Right(StreamBody::new(stream)),
        }
    }
}

impl EngineResponse {
    fn new(status: StatusCode, body: ResponseContent) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body,
            delay: Duration::ZERO,
            upgrade: None,
        }
    }

    /// Creates a response with this body.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, ResponseContent::Complete(body.into()))
    }

    /// Creates a response with a text.
    pub fn text(body: impl Into<String>) -> Self {
        Self::bytes(body.into()).header("content-type", "text/plain")
    }

    /// Creates a response with a JSON document: a string, or a value that prints
    /// itself as one, such as that of `serde_json`.
    pub fn json(document: impl ToString) -> Self {
        Self::bytes(document.to_string()).header("content-type", "application/json")
    }

    /// Creates a response without a body.
    pub fn status(status: StatusCode) -> Self {
        Self::bytes(Bytes::new()).with_status(status)
    }

    /// Creates a response whose body the test sends.
    ///
    /// ```
    /// use rdd_sdk::http::{HttpClient, HttpRequest, Method};
    /// use rdd_sdk::testing::{self, EngineResponse, ScriptedEngine};
    ///
    /// testing::run(async {
    ///     let engine = ScriptedEngine::new();
    ///     let (mut events, response) = EngineResponse::stream();
    ///     engine.respond_once(Method::GET, "/events", response);
    ///     let client = HttpClient::new(engine.host());
    ///     let (_, mut body) = client.stream(HttpRequest::get("/events")).await.unwrap();
    ///     events.send("one").await.unwrap();
    ///     let mut received = Vec::new();
    ///     body.read_batch(1, |bytes| received.extend(bytes)).await.unwrap();
    ///     assert_eq!(received, b"one");
    ///     drop(events); // The end of the body.
    ///     assert!(!body.read_batch(1, |_| {}).await.unwrap());
    /// });
    /// ```
    pub fn stream() -> (BodySender, Self) {
        let (sender, receiver) = mpsc::channel(0);
        let content = ResponseContent::Stream(receiver.boxed_local());
        (BodySender(sender), Self::new(StatusCode::OK, content))
    }

    /// Creates a response that sends this part of its body and then nothing
    /// more.
    pub fn stalled(beginning: impl Into<Bytes>) -> Self {
        let beginning = Frame::data(beginning.into());
        let stream = futures::stream::iter([Ok(beginning)])
            .chain(futures::stream::pending())
            .boxed_local();
        Self::new(StatusCode::OK, ResponseContent::Stream(stream))
    }

    /// Creates the response to a request to upgrade the connection to
    /// `protocol`. `serve` gets the connection afterward.
    pub fn upgrade<F>(
        protocol: &'static str,
        serve: impl FnOnce(ScriptedConnection) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let mut response = Self::status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "Upgrade")
            .header("upgrade", protocol);
        response.upgrade = Some(Box::new(move |connection| serve(connection).boxed_local()));
        response
    }

    /// Sets the status code.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// Panics if the name is not one in lower case, or if the value has
    /// characters that headers must not have.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value)
            .unwrap_or_else(|error| panic!("invalid header {name}: {error}"));
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Adds trailers to a complete body, such as the status of gRPC. The ones of
    /// a [`stream`](Self::stream) are sent by its sender.
    #[must_use]
    pub fn trailers(mut self, trailers: HeaderMap) -> Self {
        if let ResponseContent::Complete(bytes) = self.body {
            self.body = ResponseContent::WithTrailers(bytes, trailers);
        }
        self
    }

    /// Waits before the response is sent.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// The sender of a response's body. Dropping it ends the body.
#[derive(Clone)]
pub struct BodySender(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl BodySender {
    /// Sends a piece of the body. Waits while the backend does not read.
    ///
    /// # Errors
    ///
    /// Fails with `cancelled` if the backend has closed the connection.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.push(Ok(Frame::data(bytes.into()))).await
    }

    /// Sends trailers, which end the body.
    ///
    /// # Errors
    ///
    /// Fails with `cancelled` if the backend has closed the connection.
    pub async fn finish(mut self, trailers: HeaderMap) -> Result<(), Error> {
        self.push(Ok(Frame::trailers(trailers))).await
    }

    /// Fails the connection within the body.
    ///
    /// # Errors
    ///
    /// Fails with `cancelled` if the backend has closed the connection.
    pub async fn fail(mut self) -> Result<(), Error> {
        self.push(Err(io::ErrorKind::ConnectionReset.into())).await
    }

    async fn push(&mut self, frame: io::Result<Frame<Bytes>>) -> Result<(), Error> {
        let sent = self.0.send(frame).await;
        sent.map_err(|_| Error::cancelled("the backend has closed the connection"))
    }
}
