//! One connection, and requests on it, one after another.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};

use crate::types::Error;
use crate::{BoxConnection, Host};

/// hyper's read buffer grows up to this: a batch of log bytes is no larger.
const MAX_BUFFER: usize = 64 * 1024;

type Driver = Pin<Box<Connection<BoxConnection, Full<Bytes>>>>;

/// A connection, driven by whoever polls what runs on it.
pub(super) struct Exchange {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection is closed.
    driver: Option<Driver>,
}

/// Why a request got no answer.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The engine closed a connection that was kept open: no fault of the
    /// request, which may be sent again if that does no harm.
    pub(super) stale: bool,
}

impl Exchange {
    /// Opens a connection of its own to the engine.
    pub(super) async fn open(host: &Host) -> Result<Self, Error> {
        let io = host.connect().await?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(io)
            .await
            .map_err(|error| broken(&error))?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
        })
    }

    /// Whether the connection, idle until now, can carry another request.
    pub(super) async fn is_fresh(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_driver(cx);
            Poll::Ready(())
        })
        .await;
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Waits until the connection can carry another request; false when it
    /// never will.
    pub(super) async fn settle(&mut self) -> bool {
        poll_fn(|cx| {
            self.poll_driver(cx);
            self.sender.poll_ready(cx)
        })
        .await
        .is_ok()
            && self.driver.is_some()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<hyper::Response<Incoming>, Failed> {
        let response = self.sender.send_request(request);
        let mut response = pin!(response);
        let driver = &mut self.driver;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = response.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                // The driver may have brought what the answer waits for.
                if !drive(driver, cx) {
                    return response.as_mut().poll(cx);
                }
            }
        })
        .await
        .map_err(|error| Failed {
            stale: error.is_canceled() || error.is_closed() || error.is_incomplete_message(),
            error: broken(&error),
        })
    }

    /// Moves the connection on; true when it closed by this.
    pub(super) fn poll_driver(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.driver, cx)
    }
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> bool {
    let Some(connection) = driver else {
        return false;
    };
    // Its error reaches the request or the body that it breaks.
    let closed = connection.as_mut().poll(cx).is_ready();
    if closed {
        *driver = None;
    }
    closed
}

/// A connection that broke, as the contract's error.
pub(super) fn broken(error: &hyper::Error) -> Error {
    if error.is_parse() {
        return Error::internal(format!(
            "the engine does not speak HTTP: {}",
            describe(error)
        ));
    }
    Error::unavailable(format!(
        "the connection to the engine broke: {}",
        describe(error)
    ))
}

/// The error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
