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

// In layers: each module uses only those after it.

mod host;

mod reloader;

mod plugin_table;
mod store;
mod supervisor;
mod supervisor_tracker;

mod plugin_entry;
mod plugin_file;
mod verification;

mod plugin_sample;

mod component_interface;
mod discovery;
mod loader;
mod report;
mod restart;
mod transport;

mod discovery_error;
mod engine_endpoint;
mod lock_file;

mod manifest;
mod trusted_file;

pub use component_interface::{ComponentFileError, ComponentInterface};
pub use discovery::{PluginDirs, PluginGrant, is_same_dir};
pub use discovery_error::{ArtifactFileError, DiscoveryError};
pub use engine_endpoint::{EndpointError, EngineEndpoint, TlsFiles, redact_password};
pub use host::{PluginHost, PluginHostOptions, StartError};
pub use lock_file::{LOCK_FILE, LockEntry, LockFile, LockFileError, OverrideEntry};
pub use manifest::{
    ArtifactFile, DirectoryGrant, DirectoryRequest, MANIFEST_FILE, MAX_MANIFEST_BYTES,
    ManifestError, ManifestLimits, PlaceholderDirs, PluginArtifact, PluginManifest,
};
pub use plugin_file::{LoadFileError, LoadFileOptions, LoadedPlugin, load_plugin};
pub use plugin_sample::PluginSample;
pub use rdd_distribution::Platform;
pub use rdd_plugin_contract::{
    BackendInstance, BackendLimits, BackendMetrics, CallMethod, INTERFACE, PluginBackend,
    UsageSnapshot, VersionError, check_version, is_backend_name,
};
pub use rdd_plugin_wasm::{
    CacheError, CompilerError, ComponentCache, ComponentCompiler, LoadError, compile,
};
pub use report::{PluginReport, PluginState};
pub use restart::RestartPolicy;
pub use store::{InstallOutcome, PluginStore, StagedPlugin, StoreError, StoreGuard};
pub use transport::{EngineDialer, TransportError};
pub use trusted_file::{PluginFileError, open_regular_file};
pub use verification::{NativeDigestError, VerifiedPlugin, native_digest, verify};
