//! Test helpers: a fake engine, a fake backend registry, fixture components, and
//! waiting with a time limit.
//!
//! Invariant: nothing here is part of a shipped binary. Other crates than the
//! benchmarks depend on this one only under `dev-dependencies`.
//!
//! ```
//! use futures::StreamExt as _;
//! use rdd_core::{ContainerEngine as _, WatchEvent};
//! use rdd_testkit::FakeEngine;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let engine = FakeEngine::default();
//! engine.run_container("web");
//! let events: Vec<_> = engine.watch().await.unwrap().take(3).collect().await;
//! assert!(matches!(events[0], Ok(WatchEvent::InitBegin)));
//! assert!(matches!(events[1], Ok(WatchEvent::Applied(_))));
//! assert!(matches!(events[2], Ok(WatchEvent::InitDone)));
//! # });
//! ```

mod fake_backends;
mod fake_engine;

mod bad_plugin;
mod fixture_component;
mod fixture_library;
mod plugin_directory;

mod blocking_pool;
mod captured_log;
mod eventually;

mod replay_corpus;

pub use bad_plugin::{BAD_PLUGINS, BadPlugin, FaultEvent};
pub use blocking_pool::{is_ready_without_blocking, with_one_blocking_thread};
pub use captured_log::CapturedLog;
pub use eventually::{PATIENCE, eventually, eventually_within};
pub use fake_backends::FakeBackends;
pub use fake_engine::{
    CallGate, EngineCall, EngineOperation, FakeEngine, LogScript, TransferScript,
};
pub use fixture_component::fixture_component;
pub use fixture_library::{compile_fixture_library, fixture_library};
pub use plugin_directory::{
    COMPONENT_FILE, component_manifest, renamed_component, replaced, sha256_hex, write_plugin,
};
pub use replay_corpus::replay_corpus;
