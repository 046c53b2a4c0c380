//! The passthrough on a real socket, with a scripted engine.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod closing;
mod common;
mod entries;
mod exec;
mod mux;
mod raw;
mod statuses;
mod streams;
