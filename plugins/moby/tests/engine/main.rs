//! The backend, natively, against a real Docker engine.
//!
//! The engine is named by `RDD_TEST_DOCKER_HOST`; `make engine` starts one.
//! Each test makes objects of its own names and judges only those, so that
//! tests run side by side on one engine.
#![allow(
    clippy::let_underscore_must_use,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod actions;
mod fixture;
mod identity;
mod logs;
mod objects;
mod proxy;
mod removals;
mod watch;
