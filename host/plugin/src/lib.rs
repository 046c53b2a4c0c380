//! Finds, checks, loads, and supervises engine backends, and connects them to
//! their engines.
//!
//! Owns the plugin directories, the manifests, the resources that a backend is
//! granted, the transports to an engine (Unix socket, TCP, TLS, SSH), and the
//! restarts.
//!
//! Invariant: no plugin brings the daemon down or delays another plugin. A
//! plugin's problem shows up as its [`PluginState`], with the cause and the
//! remedy.

mod host;
mod report;
mod restart;

mod engine_endpoint;
mod transport;

mod discovery;
mod manifest;
mod plugin_entry;
mod plugin_file;
mod supervisor;
mod supervisor_tracker;

pub use engine_endpoint::{EndpointError, EngineEndpoint, TlsFiles, redact_password};
pub use host::{PluginHost, PluginHostOptions, StartError};
pub use plugin_file::{LoadFileError, LoadedPlugin, load_plugin};
pub use rdd_plugin_contract::{BackendInstance, BackendLimits, INTERFACE, PluginBackend};
pub use rdd_plugin_wasm::{
    CacheError, CompilerError, ComponentCache, ComponentCompiler, LoadError, compile,
};
pub use report::{PluginReport, PluginState};
pub use restart::RestartPolicy;
pub use transport::{EngineDialer, TransportError};
