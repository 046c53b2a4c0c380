//! The table on reference implementations, which pass, and on faulty ones, each
//! of which fails the cases that are meant for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::useless_vec,
    reason = "a test fails by panicking"
)]

mod fake_environment;
mod mutants;
mod mutation;
mod reference;
mod rules;
mod toy_client;
mod toy_connection;
