//! The backend, natively, against engines that are scripted: what a real one
//! does too seldom, too slowly or too much of for a test.
#![allow(
    clippy::let_underscore_must_use,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod connections;
mod many_images;
mod retries;
mod server;
mod silent_changes;
