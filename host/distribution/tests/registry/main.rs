//! Tests of registries: Debian's `docker-registry`, and scripted servers that
//! misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

mod faults;
mod round_trip;
mod scripted_server;
mod support;
mod tokens;
