//! The body of an answer, read in batches.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use super::exchange::{Exchange, broken};
use crate::types::Error;

/// An answer's body. Dropping it before its end closes the connection.
pub struct Body {
    exchange: Exchange,
    incoming: Incoming,
}

impl Body {
    pub(super) fn new(exchange: Exchange, incoming: Incoming) -> Self {
        Self { exchange, incoming }
    }

    /// Waits for bytes, then gives `take` all that are at hand, piece by
    /// piece and without waiting further, until `enough` bytes were given
    /// (the last piece may go beyond). False at the end of the body.
    ///
    /// An engine that sends an HTTP chunk for each line makes thousands of
    /// pieces a batch: this is what keeps them from crossing to the host one
    /// by one.
    pub async fn read_batch(
        &mut self,
        enough: usize,
        mut take: impl FnMut(Bytes),
    ) -> Result<bool, Error> {
        let mut given = 0;
        poll_fn(|cx| {
            let mut driven = false;
            loop {
                match Pin::new(&mut self.incoming).poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(given > 0)),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error))),
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(bytes) = frame.into_data() {
                            given += bytes.len();
                            take(bytes);
                        }
                        if given >= enough {
                            return Poll::Ready(Ok(true));
                        }
                        driven = false;
                    }
                    // The body gives what the connection has read: no end of
                    // bytes before both have nothing.
                    Poll::Pending if !driven => {
                        self.exchange.poll_driver(cx);
                        driven = true;
                    }
                    Poll::Pending if given == 0 => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(true)),
                }
            }
        })
        .await
    }

    /// Gives the connection back, once the body has ended.
    pub(super) fn into_exchange(self) -> Exchange {
        self.exchange
    }
}
