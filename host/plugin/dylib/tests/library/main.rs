//! Backends that are dynamic libraries, with the fixture in plain C.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

mod calls;
mod entries;
mod example;
mod faults;
mod loading;
mod logs;
mod processes;
mod transfers;
mod watch;
