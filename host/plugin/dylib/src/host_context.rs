//! What the host provides to the instances of one backend.

use std::sync::Arc;

use rdd_core::RegistryCredentialStore;
use rdd_plugin_contract::liveness::EngineLiveness;
use rdd_plugin_contract::log_limiter::LogLimiter;
use rdd_plugin_contract::{BackendMetrics, EngineTransport, GrantedDirectory};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::Span;

/// What the instances of one backend share.
pub(crate) struct HostContext {
    /// The backend's name.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn EngineTransport>,
    pub(crate) credentials: Arc<dyn RegistryCredentialStore>,
    pub(crate) directories: Vec<GrantedDirectory>,
    pub(crate) connection_permits: Arc<Semaphore>,
    pub(crate) max_connections: usize,
    /// One additional connection for the instance that answers liveness probes:
    /// an engine must not count as lost because all other connections are in use
    /// and idle.
    pub(crate) probe_permit: Arc<Semaphore>,
    pub(crate) liveness: Arc<EngineLiveness>,
    pub(crate) log_limiter: LogLimiter,
    pub(crate) metrics: Arc<BackendMetrics>,
    /// Drives timers and the transport.
    pub(crate) runtime: Handle,
    /// The span in which the backend logs.
    pub(crate) span: Span,
}

/// What an instance is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InstanceKind {
    /// The engine and changes to it.
    Control,
    /// A log or a process.
    Stream,
    /// A transfer.
    Transfer {
        /// The registry for which the instance gets credentials.
        registry: String,
    },
}
