//! A loaded backend, which starts one instance after another.

use std::sync::Arc;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use crate::backend_handle::BackendHandle;
use crate::convert;
use crate::exit_reason::ExitReason;
use crate::host_state::HostContext;
use crate::limits::{BackendLimits, MemoryBudget};
use crate::liveness::EngineLiveness;
use crate::log_limiter::LogLimiter;
use crate::plugin_instance::PluginInstance;
use crate::runtime::LinkedComponent;
use crate::transport::EngineTransport;
use crate::wasi::GrantedDirectory;

/// What all stores of one backend share, across restarts.
pub(crate) struct BackendContext {
    pub(crate) component: LinkedComponent,
    pub(crate) limits: BackendLimits,
    pub(crate) host: Arc<HostContext>,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) shutdown: CancellationToken,
    /// The tasks of all stores.
    pub(crate) tasks: TaskTracker,
    /// The span in which the tasks run.
    pub(crate) span: Span,
    pub(crate) log_permits: Arc<Semaphore>,
}

impl BackendContext {
    /// Acquires the permit for another log stream.
    pub(crate) fn acquire_log_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        self.log_permits.clone().try_acquire_owned().map_err(|_| {
            EngineError::new(
                ErrorCode::Unavailable,
                format!(
                    "{} log streams of the backend {} are open, the maximum; close some and try again",
                    self.limits.max_log_streams, self.host.name
                ),
            )
        })
    }
}

/// A component with its transport and limits. Starts a [`BackendHandle`] at each
/// launch.
pub struct ComponentBackend {
    context: Arc<BackendContext>,
}

/// A backend cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Its store ended during the start. A retry may succeed.
    #[error("the backend {backend} {}", exit.message)]
    Exited {
        /// The name in the manifest.
        backend: String,
        /// Why the store ended.
        exit: ExitReason,
    },
    /// The backend does not match its manifest or the contract. A retry cannot
    /// succeed.
    #[error("the backend {backend} {problem}")]
    Incompatible {
        /// The name in the manifest.
        backend: String,
        /// The end of a sentence that begins with the backend's name.
        problem: String,
    },
}

impl ComponentBackend {
    /// Creates a backend that reaches its engine through `transport`. `name` is
    /// the name in its manifest. All tasks of the backend run in the span that is
    /// current now.
    pub fn new(
        name: &str,
        component: LinkedComponent,
        limits: BackendLimits,
        transport: Arc<dyn EngineTransport>,
    ) -> Self {
        Self::with_directories(name, component, limits, transport, Vec::new())
    }

    /// Creates a backend as [`new`](Self::new) does, which may also read
    /// `directories`. They are opened whenever an instance starts.
    pub fn with_directories(
        name: &str,
        component: LinkedComponent,
        limits: BackendLimits,
        transport: Arc<dyn EngineTransport>,
        directories: Vec<GrantedDirectory>,
    ) -> Self {
        let host = HostContext {
            name: name.to_owned(),
            transport,
            connection_permits: Arc::new(Semaphore::new(limits.max_connections)),
            max_connections: limits.max_connections,
            probe_permit: Arc::new(Semaphore::new(1)),
            log_limiter: LogLimiter::new(),
            directories,
            liveness: EngineLiveness::new(),
        };
        Self {
            context: Arc::new(BackendContext {
                component,
                host: Arc::new(host),
                memory: MemoryBudget::new(limits.total_memory_bytes),
                shutdown: CancellationToken::new(),
                tasks: TaskTracker::new(),
                span: Span::current(),
                log_permits: Arc::new(Semaphore::new(limits.max_log_streams)),
                limits,
            }),
        }
    }

    /// Creates a new control store and calls `describe`. Log streams that were
    /// opened through an earlier handle continue.
    ///
    /// # Errors
    ///
    /// Fails if the store ends, or if the backend does not match its manifest or
    /// the contract.
    pub async fn launch(&self) -> Result<BackendHandle, LaunchError> {
        let context = &self.context;
        let name = &context.host.name;
        let exited = |exit| LaunchError::Exited {
            backend: name.clone(),
            exit,
        };
        let incompatible = |problem| LaunchError::Incompatible {
            backend: name.clone(),
            problem,
        };
        let mut instance = PluginInstance::instantiate(
            &context.component,
            &context.limits,
            context.limits.control_memory_bytes,
            context.host.clone(),
            context.memory.clone(),
        )
        .await
        .map_err(exited)?;
        let described = instance
            .describe(context.limits.start_timeout)
            .await
            .map_err(exited)?;
        let info =
            convert::backend_info(described).map_err(|error| incompatible(error.to_string()))?;
        if info.name != *name {
            return Err(incompatible(format!(
                "reports the name {:?}; correct its manifest or the component",
                info.name
            )));
        }
        Ok(BackendHandle::spawn(context.clone(), instance, info))
    }

    /// Ends all stores and waits until their tasks have ended.
    pub async fn shutdown(&self) {
        let BackendContext {
            shutdown, tasks, ..
        } = &*self.context;
        shutdown.cancel();
        tasks.close();
        tasks.wait().await;
    }
}

impl Drop for ComponentBackend {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}
