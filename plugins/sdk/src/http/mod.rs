//! An HTTP/1.1 client over [`Host::connect`](crate::Host::connect).
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
mod upgrade;

pub use body::ResponseBody;
#[cfg(feature = "http2")]
pub(crate) use connection::error_chain;
pub use client::{HttpClient, HttpRequest, HttpResponse, ResponseHead, UpgradeResponse};
pub use hyper::header::{HeaderName, HeaderValue};
pub use hyper::{HeaderMap, Method, StatusCode};
pub use upgrade::{UpgradedReader, UpgradedWriter};
