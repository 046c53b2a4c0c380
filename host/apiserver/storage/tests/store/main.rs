//! Tests of the store through its public API.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod backup;
mod commit;
mod common;
mod damage;
mod faults;
mod history;
mod model;
mod observed_writes;
mod restart;
