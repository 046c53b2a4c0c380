//! Tests of the backend in its native form against a real Docker engine.
//!
//! `RDD_TEST_DOCKER_HOST` is the address of the engine; `make engine` starts one.
//! Each test creates objects with unique names and checks only those, so that
//! tests can run concurrently on one engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod actions;
mod creations;
mod entries;
mod exec;
mod fixture;
mod identity;
mod logs;
mod objects;
mod proxy;
mod removals;
mod watch;
