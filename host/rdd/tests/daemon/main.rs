//! The built daemon as a process: its start, its failures, and its shutdown.
//! These tests need no engine and no backend.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod config_maps;
mod descriptors;
mod instance;
mod partial_state;
mod readiness;
mod status;
mod stop;
mod supervision;
mod tokens;
mod toy_engine;
mod web;
