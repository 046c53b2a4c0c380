//! A loaded backend, which starts one instance after another.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_plugin_contract::{
    BackendInstance, BackendLimits, BackendPermits, BackendServices, ContractError, InstanceMemory,
    LaunchError, MemoryBudget, PluginBackend,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use crate::backend_context::BackendContext;
use crate::backend_handle::BackendHandle;
use crate::convert;
use crate::host_context::HostContext;
use crate::liveness::EngineLiveness;
use crate::log_limiter::LogLimiter;
use crate::plugin_instance::PluginInstance;
use crate::runtime::LinkedComponent;

/// A component with its transport and limits. Starts a [`BackendHandle`] at each
/// launch.
pub struct ComponentBackend {
    context: Arc<BackendContext>,
}

impl ComponentBackend {
    /// Creates a backend that gets `services` from the host. `name` is the name
    /// in its manifest. All tasks of the backend run in the span that is
    /// current now.
    pub fn new(
        name: &str,
        component: LinkedComponent,
        limits: BackendLimits,
        services: BackendServices,
    ) -> Self {
        let BackendServices {
            transport,
            credentials,
            directories,
            metrics,
        } = services;
        let host = HostContext {
            name: name.to_owned(),
            transport,
            credentials,
            connection_permits: Arc::new(Semaphore::new(limits.max_connections)),
            max_connections: limits.max_connections,
            probe_permit: Arc::new(Semaphore::new(1)),
            log_limiter: LogLimiter::new(),
            directories,
            liveness: EngineLiveness::new(),
            metrics,
        };
        Self {
            context: Arc::new(BackendContext {
                component,
                host: Arc::new(host),
                control_memory: MemoryBudget::new(usize::MAX),
                stream_memory: MemoryBudget::new(limits.total_memory_bytes),
                shutdown: CancellationToken::new(),
                tasks: TaskTracker::new(),
                span: Span::current(),
                permits: BackendPermits::new(name, &limits),
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
        let memory = InstanceMemory::new(
            context.limits.control_memory_bytes,
            context.control_memory.clone(),
        );
        let mut instance = PluginInstance::instantiate(
            &context.component,
            &context.limits,
            context.host.clone(),
            memory,
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
        let exports = &context.component.exports;
        if let Some((capability, interface)) = exports.missing_interface(info.capabilities) {
            let error = ContractError(format!(
                "describe returned the capability {capability}, but the component does not export the interface {interface}"
            ));
            return Err(incompatible(error.to_string()));
        }
        Ok(BackendHandle::spawn(context.clone(), instance, info))
    }
}

#[async_trait]
impl PluginBackend for ComponentBackend {
    async fn launch(&self) -> Result<Arc<dyn BackendInstance>, LaunchError> {
        Ok(Arc::new(self.launch().await?))
    }

    /// Ends all stores and waits until their tasks have ended.
    async fn shutdown(&self) {
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
