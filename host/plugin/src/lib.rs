//! Finds, checks, loads and supervises engine backends, and gives them the
//! way to their engine.
//!
//! Owns the plugin directories, the manifests, what a backend is granted, the
//! roads to an engine (unix socket, named pipe, TCP, TLS, SSH) and the
//! restarts.
//!
//! Invariant: no plugin takes the daemon down or holds up another one. What
//! is wrong with one shows as its state, with the cause and the remedy.

mod discovery;
mod endpoint;
mod host;
mod manifest;
mod report;
mod restart;
mod slot;
mod supervisor;
mod supervisor_tasks;
mod transport;

pub use endpoint::{EndpointError, EngineEndpoint, TlsFiles, without_password};
pub use host::{PluginHost, PluginHostOptions, StartError};
pub use rdd_plugin_wasm::{
    BackendLimits, CacheError, ComponentCache, ComponentCompiler, INTERFACE, LoadError, compile,
};
pub use report::{PluginReport, PluginState};
pub use restart::RestartPolicy;
pub use transport::{EngineDialer, TransportError};
