//! The whole plugin host: directories, manifests, supervision and the way to
//! the engine, with real components.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod conformance;
mod directories;
mod supervision;
mod support;
mod tls;
mod transport;
