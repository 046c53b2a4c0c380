//! Tests of the mirror controller between a fake engine and the embedded API
//! server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

mod actions;
mod app;
mod deletion;
mod faults;
mod install;
mod installation;
mod instances;
mod model;
mod namespaces;
mod policies;
mod recovery;
mod sync;
mod test_mirror;
