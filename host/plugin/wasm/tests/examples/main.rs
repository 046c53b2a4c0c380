//! The examples in `plugins/examples`, built with their own toolchains and run
//! against the toy engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

mod c;
mod common_tests;
mod figures;
mod python;
mod rust;
mod support;
