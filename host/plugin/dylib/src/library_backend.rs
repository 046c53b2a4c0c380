//! A loaded backend, which starts one instance after another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use rdd_core::BackendInfo;
use rdd_plugin_contract::liveness::EngineLiveness;
use rdd_plugin_contract::log_limiter::LogLimiter;
use rdd_plugin_contract::{
    BackendInstance, BackendLimits, BackendServices, ExitReason, LaunchError, PluginBackend,
    validation,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use crate::backend_context::BackendContext;
use crate::backend_library::BackendLibrary;
use crate::host_context::HostContext;
use crate::library_fault::CallError;
use crate::library_handle::LibraryHandle;

/// A library with the services and limits of one backend.
pub struct LibraryBackend {
    context: Arc<BackendContext>,
}

impl LibraryBackend {
    /// Creates a backend that gets `services` from the host. `name` is the name
    /// in its manifest. All tasks of the backend run in the span that is current
    /// now.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with timers and I/O.
    pub fn new(
        name: &str,
        library: BackendLibrary,
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
            directories,
            connection_permits: Arc::new(Semaphore::new(limits.max_connections)),
            max_connections: limits.max_connections,
            probe_permit: Arc::new(Semaphore::new(1)),
            liveness: EngineLiveness::new(),
            log_limiter: LogLimiter::new(),
            metrics,
            runtime: Handle::current(),
            span: Span::current(),
        };
        let context = BackendContext::new(Arc::new(library), limits, Arc::new(host));
        let (watched, shutdown) = (context.clone(), context.shutdown.clone());
        let watchdog = async move {
            tokio::select! {
                () = watched.run_watchdog() => {}
                () = shutdown.cancelled() => {}
            }
        };
        context
            .tasks
            .spawn(watchdog.instrument(context.host.span.clone()));
        Self { context }
    }

    /// Creates a control instance after checking the backend's description.
    ///
    /// # Errors
    ///
    /// Fails if the backend does not match its manifest or the contract, or if
    /// too many of its threads have not returned.
    pub async fn launch(&self) -> Result<LibraryHandle, LaunchError> {
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
        // A retry may succeed: the threads may return.
        context
            .check_abandoned_threads()
            .map_err(|problem| exited(ExitReason::guest_fault(problem)))?;
        let info = match self.describe().await.map_err(exited)? {
            Ok(info) => info,
            Err(CallError::Failed(error)) => {
                return Err(incompatible(format!("cannot describe itself: {error}")));
            }
            Err(CallError::Fault(fault)) => return Err(incompatible(fault.to_string())),
        };
        validation::backend_info(&info).map_err(|error| incompatible(error.to_string()))?;
        if info.name != *name {
            return Err(incompatible(format!(
                "reports the name {:?}; correct its manifest or the library",
                info.name
            )));
        }
        LibraryHandle::spawn(context, info).await.map_err(exited)
    }

    /// Calls `describe` on a blocking thread, which is given up if it does not
    /// return.
    async fn describe(&self) -> Result<Result<BackendInfo, CallError>, ExitReason> {
        let limit = self.context.limits.start_timeout;
        let library = self.context.library.clone();
        let (count, counted) = (
            self.context.abandoned_threads.clone(),
            self.context.abandoned_threads.clone(),
        );
        let (sender, described) = tokio::sync::oneshot::channel();
        let body = move || {
            if sender.send(library.describe()).is_err() {
                // It was counted as given up when the receiver was dropped.
                counted.fetch_sub(1, Ordering::Relaxed);
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name(format!("lib-{}", self.context.host.name))
            .spawn(body)
        {
            return Err(ExitReason::guest_fault(format!(
                "cannot be started, because the system has no thread left: {error}"
            )));
        }
        let mut described = described;
        match tokio::time::timeout(limit, &mut described).await {
            Ok(Ok(described)) => Ok(described),
            Ok(Err(_)) => Err(ExitReason::task_panicked()),
            Err(_) => {
                count.fetch_add(1, Ordering::Relaxed);
                described.close();
                if described.try_recv().is_ok() {
                    // It returned just now, and saw nothing of this.
                    count.fetch_sub(1, Ordering::Relaxed);
                }
                Err(ExitReason::timed_out("describe", limit))
            }
        }
    }

    /// Returns the number of threads of the library that were given up and have
    /// not returned.
    pub fn abandoned_threads(&self) -> usize {
        self.context.abandoned_threads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl PluginBackend for LibraryBackend {
    async fn launch(&self) -> Result<Arc<dyn BackendInstance>, LaunchError> {
        Ok(Arc::new(self.launch().await?))
    }

    /// Ends all instances and waits until their threads have ended. A thread that
    /// does not return in time ends with the process.
    async fn shutdown(&self) {
        let BackendContext {
            shutdown,
            tasks,
            limits,
            ..
        } = &*self.context;
        shutdown.cancel();
        tasks.close();
        if tokio::time::timeout(limits.stop_grace, tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                threads = tasks.len(),
                "threads of the library have not returned; they end with the daemon"
            );
        }
    }
}

impl Drop for LibraryBackend {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}
