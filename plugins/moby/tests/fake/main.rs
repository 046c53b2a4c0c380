//! Tests of the backend in its native form against scripted engines, for
//! behavior that is too rare, too slow, or too extensive with a real one.
#![allow(
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
