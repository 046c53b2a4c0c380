//! The runtime with real components: the scripted fixture, which does what a
//! test tells it to, right or wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod cache;
mod calls;
mod cancelled;
mod faults;
mod liveness;
mod logs;
mod patience;
mod support;
mod watch;
