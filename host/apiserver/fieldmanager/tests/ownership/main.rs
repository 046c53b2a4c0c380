//! Ownership of fields through chains of writes, as a kube-apiserver 1.35 answers them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod appliers;
mod hostile;
mod lists;
mod migration;
mod properties;
mod updaters;
mod tracked_object;
