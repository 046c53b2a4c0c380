//! A connection that carries one request after another.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};

use super::upgrade::{self, UpgradedReader, UpgradedWriter};
use crate::types::Error;
use crate::{BoxConnection, Host};

/// The maximum size of hyper's read buffer: a batch of log bytes is not larger.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

type ConnectionDriver = Pin<Box<Connection<BoxConnection, Full<Bytes>>>>;

/// A connection, driven by the futures of the requests on it.
pub(super) struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection is closed.
    driver: Option<ConnectionDriver>,
}

/// The error of a request without a response.
pub(super) struct RequestError {
    pub(super) error: Error,
    /// Whether the engine closed the connection, as it may do with an idle one.
    /// A request without side effects can then be sent again.
    pub(super) was_closed: bool,
}

/// The outcome of a request to upgrade the connection.
pub(super) enum UpgradeOutcome {
    /// The connection carries raw bytes now.
    Upgraded(hyper::Response<Incoming>, (UpgradedReader, UpgradedWriter)),
    /// The engine sent another response.
    Refused(HttpConnection, hyper::Response<Incoming>),
}

impl HttpConnection {
    /// Opens a new connection to the engine.
    pub(super) async fn open(host: &Host) -> Result<Self, Error> {
        let io = host.connect().await?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .handshake(io)
            .await
            .map_err(|error| connection_error(&error))?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
        })
    }

    /// Returns whether the idle connection can carry another request.
    pub(super) async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_driver(cx);
            Poll::Ready(())
        })
        .await;
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Waits until the connection can carry another request. Returns false if
    /// it is closed.
    pub(super) async fn wait_until_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_driver(cx);
            self.sender.poll_ready(cx)
        })
        .await
        .is_ok()
            && self.driver.is_some()
    }

    /// Sends a request and waits for the head of the response.
    pub(super) async fn send(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, RequestError> {
        let response = self.sender.send_request(request);
        let mut response = pin!(response);
        let driver = &mut self.driver;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = response.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                // Polling the connection may have completed the response.
                if !poll_connection(driver, cx) {
                    return response.as_mut().poll(cx);
                }
            }
        })
        .await
        .map_err(|error| RequestError {
            was_closed: error.is_canceled() || error.is_closed() || error.is_incomplete_message(),
            error: connection_error(&error),
        })
    }

    /// Sends a request to upgrade the connection. If the engine agrees, returns
    /// the connection and the bytes that were received after the head.
    pub(super) async fn upgrade(
        mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<UpgradeOutcome, RequestError> {
        let response = self.sender.send_request(request);
        let mut response = pin!(response);
        let closed = || RequestError {
            error: Error::unavailable("the engine closed the connection during its upgrade"),
            was_closed: true,
        };
        let Some(driver) = self.driver.take() else {
            return Err(closed());
        };
        let mut driver = Pin::into_inner(driver);
        let mut is_done = false;
        let response = poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = response.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if is_done || driver.poll_without_shutdown(cx).is_pending() {
                    return Poll::Pending;
                }
                // hyper also passes the connection's error to the response.
                is_done = true;
            }
        })
        .await
        .map_err(|error| RequestError {
            was_closed: error.is_canceled() || error.is_closed() || error.is_incomplete_message(),
            error: connection_error(&error),
        })?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.driver = (!is_done).then(|| driver.into());
            return Ok(UpgradeOutcome::Refused(self, response));
        }
        if !is_done {
            poll_fn(|cx| driver.poll_without_shutdown(cx))
                .await
                .map_err(|error| RequestError {
                    was_closed: false,
                    error: connection_error(&error),
                })?;
        }
        let parts = driver.into_parts();
        Ok(UpgradeOutcome::Upgraded(
            response,
            upgrade::split(parts.io, parts.read_buf),
        ))
    }

    /// Polls the connection. Returns true if this closed it.
    pub(super) fn poll_driver(&mut self, cx: &mut Context<'_>) -> bool {
        poll_connection(&mut self.driver, cx)
    }
}

fn poll_connection(driver: &mut Option<ConnectionDriver>, cx: &mut Context<'_>) -> bool {
    let Some(connection) = driver else {
        return false;
    };
    // hyper also passes the connection's error to the request or the body.
    let is_closed = connection.as_mut().poll(cx).is_ready();
    if is_closed {
        *driver = None;
    }
    is_closed
}

/// Converts hyper's error to the contract's.
pub(super) fn connection_error(error: &hyper::Error) -> Error {
    if error.is_parse() {
        return Error::internal(format!(
            "the engine's response is not HTTP: {}",
            error_chain(error)
        ));
    }
    Error::unavailable(format!(
        "the connection to the engine failed: {}",
        error_chain(error)
    ))
}

/// Joins the messages of an error and its sources in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
