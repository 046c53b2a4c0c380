//! Ownership of fields over sequences of writes. The expected results are those of kube-apiserver
//! 1.35.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test helper fails the test"
)]

mod appliers;
mod hostile;
mod lists;
mod migration;
mod properties;
mod tracked_object;
mod updaters;
