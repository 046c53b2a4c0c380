//! An HTTP/1.1 client over [`Host::connect`](crate::Host::connect).
//!
//! Invariant: whoever awaits an answer drives the connection, so no task runs
//! that nobody owns, and dropping a call closes its connection.

mod body;
mod client;
mod exchange;

pub use body::Body;
pub use client::{Call, Client, Head, Response};
pub use hyper::{HeaderMap, Method, StatusCode};
