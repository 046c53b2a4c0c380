//! Tests of the plugin host with real components: directories, manifests,
//! supervision, and transports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

mod bad_backends;
mod conformance;
mod directories;
mod installed;
mod released;
mod reload;
mod supervision;
mod support;
mod tls;
mod transport;
