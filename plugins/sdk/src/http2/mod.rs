//! An HTTP/2 client over [`Host::connect`](crate::Host::connect), without TLS
//! and with prior knowledge, as containerd's socket requires. Needs the feature
//! `http2`.
//!
//! Requests share a connection, and each has a stream of its own:
//!
//! ```no_run
//! # async fn example(host: rdd_sdk::Host) -> Result<(), rdd_sdk::types::Error> {
//! use rdd_sdk::http::HttpRequest;
//! use rdd_sdk::http2::Http2Client;
//!
//! let client = Http2Client::new(host);
//! let (head, mut body) = client.stream(HttpRequest::get("/events")).await?;
//! if head.status.is_success() {
//!     while body.read_batch(64 * 1024, |bytes| println!("{bytes:?}")).await? {}
//!     println!("{:?}", body.trailers());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How a connection is driven
//!
//! A connection needs somebody who reads its frames, and an instance has no
//! background tasks: what [`Host::connect`](crate::Host::connect) returns can be
//! read by the calls of the instance only. So every future of this module that
//! waits also drives its connection, on behalf of all streams on it. A
//! connection that no future waits for rests: its next user sees what the engine
//! sent meanwhile. Pings for keep-alive are not sent; the host supervises
//! connections.
//!
//! # What it costs
//!
//! The engine may send 128 KiB on each stream that its reader has not consumed,
//! and a connection has at most 64 streams; for more, another connection is
//! opened. Dropping a body, a response, or a writer before its end resets the
//! stream at once, and closes the connection if it has no other streams.
//!
//! hyper's `client::conn::http2` does the protocol. hyper-util's pooling client
//! is not used for the reasons that [`http`](crate::http) gives.

mod client;
mod connection;
mod error;
mod stream;
mod task_set;

pub use client::Http2Client;
pub use stream::{Http2Body, Http2Response, Http2Writer};
