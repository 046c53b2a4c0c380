//! Test helpers: a scripted engine, its backends, fixture components, patience.
//!
//! Invariant: nothing here reaches a shipped binary; other crates name this
//! one under `dev-dependencies` only.

mod fake_backends;
mod fake_engine;
mod fixture_component;
mod patience;

pub use fake_backends::FakeBackends;
pub use fake_engine::{Call, FakeEngine, Gate, LogScript, Operation};
pub use fixture_component::fixture_component;
pub use patience::{PATIENCE, eventually, eventually_within};
