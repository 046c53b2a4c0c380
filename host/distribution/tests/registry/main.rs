//! Tests of registries: Debian's `docker-registry`, and scripted servers that
//! misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and a skipped one says so"
)]

mod faults;
mod round_trip;
mod scripted_server;
mod support;
mod tokens;
