//! Test helpers: a scripted engine, its backends, patience.
//!
//! Invariant: nothing here reaches a shipped binary; other crates name this
//! one under `dev-dependencies` only.

mod fake_backends;
mod fake_engine;
mod patience;

pub use fake_backends::FakeBackends;
pub use fake_engine::{Call, FakeEngine, Gate, LogScript, Operation};
pub use patience::{PATIENCE, eventually, eventually_within};
