//! Tests of the runtime with a real component: the scripted fixture, which follows
//! or violates the contract as a test requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

mod busy;
mod cache;
mod calls;
mod cancellation;
mod creations;
mod entries;
mod faults;
mod http2;
mod liveness;
mod logs;
mod processes;
mod stalls;
mod support;
mod transfers;
mod wasi;
mod watch;
