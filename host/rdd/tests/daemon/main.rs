//! The built daemon as a process: how it starts, fails and ends. No engine and
//! no backend is needed for that.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod descriptors;
mod discovery;
mod instance;
mod partial_state;
mod status;
mod stop;
mod supervision;
