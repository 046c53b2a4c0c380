//! The body of a response, read in batches.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use super::connection::{HttpConnection, connection_error};
use crate::types::Error;

/// The body of a response. Dropping it closes the connection.
pub struct ResponseBody {
    connection: HttpConnection,
    incoming: Incoming,
}

impl ResponseBody {
    pub(super) fn new(connection: HttpConnection, incoming: Incoming) -> Self {
        Self {
            connection,
            incoming,
        }
    }

    /// Waits for bytes, then passes all available bytes to `take`, piece by
    /// piece and without further waiting, until it has passed at least
    /// `min_bytes`. Returns false at the end of the body.
    ///
    /// An engine that sends each line as an HTTP chunk produces thousands of
    /// pieces in a batch; reading them together saves a call to the host for
    /// each.
    ///
    /// # Errors
    ///
    /// Fails with `unavailable` if the connection fails, and with `internal` if
    /// the body is not valid HTTP.
    pub async fn read_batch(
        &mut self,
        min_bytes: usize,
        mut take: impl FnMut(Bytes),
    ) -> Result<bool, Error> {
        let mut taken = 0;
        poll_fn(|cx| {
            let mut was_polled = false;
            loop {
                match Pin::new(&mut self.incoming).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(taken > 0)),
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(connection_error(&error)));
                    }
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(bytes) = frame.into_data() {
                            taken += bytes.len();
                            take(bytes);
                        }
                        if taken >= min_bytes {
                            return Poll::Ready(Ok(true));
                        }
                        was_polled = false;
                    }
                    // The body yields what the connection has read. The batch
                    // is complete only when neither has more bytes.
                    Poll::Pending if !was_polled => {
                        self.connection.poll_driver(cx);
                        was_polled = true;
                    }
                    Poll::Pending if taken == 0 => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(true)),
                }
            }
        })
        .await
    }

    /// Returns the connection, for reuse after the end of the body.
    pub(super) fn into_connection(self) -> HttpConnection {
        self.connection
    }
}
