//! What the host provides to all stores of one backend.

use std::sync::Arc;

use rdd_core::RegistryCredentialStore;
use rdd_plugin_contract::{BackendMetrics, EngineTransport};
use tokio::sync::Semaphore;

use crate::bindings::host::LogLevel;
use crate::liveness::EngineLiveness;
use crate::log_limiter::LogLimiter;

/// The maximum length in bytes of a line that a backend logs.
pub(crate) const MAX_LOG_LINE_BYTES: usize = 8 * 1024;

/// What the imports of all stores of one backend share.
pub(crate) struct HostContext {
    /// The backend's name.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn EngineTransport>,
    pub(crate) credentials: Arc<dyn RegistryCredentialStore>,
    pub(crate) connection_permits: Arc<Semaphore>,
    pub(crate) max_connections: usize,
    /// One additional connection for liveness probes: an engine must not count
    /// as lost because all other connections are in use and idle.
    pub(crate) probe_permit: Arc<Semaphore>,
    pub(crate) liveness: Arc<EngineLiveness>,
    pub(crate) log_limiter: LogLimiter,
    /// The directories that the backend may read.
    pub(crate) directories: Vec<rdd_plugin_contract::GrantedDirectory>,
    pub(crate) metrics: Arc<BackendMetrics>,
}

impl HostContext {
    /// Writes a line of the backend to the daemon's log.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let Some(dropped) = self.log_limiter.admit() else {
            return;
        };
        if dropped > 0 {
            tracing::warn!(dropped, "backend logged too many lines");
        }
        let message = rdd_core::text::truncate(message, MAX_LOG_LINE_BYTES);
        match level {
            LogLevel::Trace => tracing::trace!("{message}"),
            LogLevel::Debug => tracing::debug!("{message}"),
            LogLevel::Info => tracing::info!("{message}"),
            LogLevel::Warn => tracing::warn!("{message}"),
            LogLevel::Error => tracing::error!("{message}"),
        }
    }
}
