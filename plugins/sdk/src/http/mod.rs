//! An HTTP/1.1 client over [`Host::connect`](crate::Host::connect).
//!
//! ```no_run
//! # async fn example(host: rdd_sdk::Host) -> Result<(), rdd_sdk::types::Error> {
//! use rdd_sdk::http::{HttpClient, HttpRequest, Method, UpgradeResponse};
//!
//! let client = HttpClient::new(host);
//! // A whole response, of which the size is limited.
//! let response = client.send(HttpRequest::get("/volumes").max_body_bytes(1 << 20)).await?;
//! println!("{}: {} bytes", response.head.status, response.body.len());
//! // A body without an end, read in batches.
//! let (head, mut body) = client.stream(HttpRequest::get("/events")).await?;
//! if head.status.is_success() {
//!     while body.read_batch(64 * 1024, |bytes| println!("{bytes:?}")).await? {}
//! }
//! // Raw bytes in both directions after an upgrade.
//! let attach = HttpRequest::new(Method::POST, "/containers/ab/attach").json("{}");
//! match client.upgrade(attach, "tcp").await? {
//!     UpgradeResponse::Upgraded { mut reader, mut writer, .. } => {
//!         writer.write_all(b"input").await?;
//!         writer.shutdown().await?;
//!         while reader.read(|bytes| println!("{bytes:?}")).await? {}
//!     }
//!     UpgradeResponse::Refused(response) => println!("{}", response.head.status),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It adds a small pool of idle connections to hyper's
//! `client::conn::http1`. The pooling clients of hyper-util and reqwest are not
//! used, since they spawn a task that drives each connection and require
//! futures that are `Send`. Here, the future that waits for a response also
//! drives its connection. So there are no background tasks, and dropping a call
//! closes its connection.

mod body;
mod client;
mod connection;
mod request;
mod upgrade;

pub use body::ResponseBody;
pub use client::{HttpClient, HttpResponse, ResponseHead, UpgradeResponse};
#[cfg(feature = "http2")]
pub(crate) use connection::error_chain;
pub use hyper::header::{HeaderName, HeaderValue};
pub use hyper::{HeaderMap, Method, StatusCode};
pub use request::HttpRequest;
pub use upgrade::{UpgradedReader, UpgradedWriter};
