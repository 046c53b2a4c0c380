//! Tests of the HTTP/2 client against the server of the h2 crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod failures;
mod resets;
mod server;
mod streams;
