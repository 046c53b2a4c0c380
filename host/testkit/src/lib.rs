//! Test helpers: a scripted engine, its backends, fixture components, and waiting with a limit.
//!
//! Invariant: nothing here reaches a shipped binary; other crates name this
//! one under `dev-dependencies` only.

mod blocking_pool;
mod eventually;
mod fake_backends;
mod fake_engine;
mod fixture_component;

pub use blocking_pool::{is_ready_without_blocking, with_one_blocking_thread};
pub use eventually::{PATIENCE, eventually, eventually_within};
pub use fake_backends::FakeBackends;
pub use fake_engine::{CallGate, EngineCall, EngineOperation, FakeEngine, LogScript};
pub use fixture_component::fixture_component;
