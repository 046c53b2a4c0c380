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

mod altered_stream;
mod fake_environment;
mod mutant_engine;
mod mutant_logs;
mod mutant_processes;
mod mutant_watch;
mod mutants;
mod mutation;
mod reference;
mod rules;
mod toy_client;
mod toy_connection;
