//! A running backend: the handle to the task that owns its control store.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession, InspectResponse, LogOptions,
    LogStream, ObjectKind, ObjectRef, PullSpec, PushSpec, RemoveRequest, RemoveTarget,
    TransferStream, VolumeSpec, WatchStream,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use crate::backend::BackendContext;
use crate::call_tracker::CallTracker;
use crate::contract;
use crate::control::{CallCounter, ControlRequest, ControlTask, GuestCall, ReplySender};
use crate::exit_reason::ExitReason;
use crate::host_state::MAX_SLEEPS;
use crate::limits::BackendLimits;
use crate::plugin_instance::PluginInstance;
use crate::watch_stream::WatchReader;
use crate::{log_stream, probe};

/// The capacity of the channel to the task that owns the control store. Each
/// request holds a permit, so the channel is never full for long.
const MAX_QUEUED_REQUESTS: usize = BackendLimits::MAX_READS + BackendLimits::MAX_CHANGES + 2;

/// The resources that a backend holds at one moment, for finding leaks. Except
/// for the memory, all are zero while nothing uses the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSnapshot {
    /// Calls that have not ended in the guest of the control store.
    pub calls: usize,
    /// Permits for reads in use. Reads that wait for a permit do not count.
    pub reads: usize,
    /// Permits for changes in use. Changes that wait for a permit do not count.
    pub changes: usize,
    /// Watches; at most one.
    pub watches: usize,
    /// Timers of the control store.
    pub sleeps: usize,
    /// Log streams of the backend, including those from before a restart.
    pub log_streams: usize,
    /// Connections to the engine from all stores of the backend.
    pub connections: usize,
    /// Linear memory of all stores of the backend.
    pub memory_bytes: usize,
}

/// A running backend, from the creation of a control store to its end.
pub struct BackendHandle {
    context: Arc<BackendContext>,
    info: BackendInfo,
    requests: mpsc::Sender<ControlRequest>,
    read_permits: Arc<Semaphore>,
    change_permits: Arc<Semaphore>,
    watch_permit: Arc<Semaphore>,
    exit: watch::Receiver<Option<ExitReason>>,
    calls: Arc<CallTracker>,
    sleep_permits: Arc<Semaphore>,
    /// Ends the store's task together with the handle.
    _shutdown: DropGuard,
}

impl BackendHandle {
    /// Spawns the task that owns the control store `instance`.
    pub(crate) fn spawn(
        context: Arc<BackendContext>,
        mut instance: PluginInstance,
        info: BackendInfo,
    ) -> Self {
        let (requests, received) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let (exit_sender, exit) = watch::channel(None);
        let shutdown = context.shutdown.child_token();
        let guard = shutdown.clone().drop_guard();
        let (calls, sleep_permits) = (instance.calls(), instance.sleep_permits());
        let control = ControlTask {
            info: info.clone(),
            limits: context.limits.clone(),
            calls: calls.clone(),
            counter: CallCounter::default(),
        };
        let probes = probe::run(context.clone(), calls.clone(), requests.downgrade());
        let task = async move {
            let exit = tokio::select! {
                served = control.serve(&mut instance, received) => served.err(),
                () = shutdown.cancelled() => None,
                () = probes => None,
            };
            // Published before `instance` is dropped, which closes the channels of
            // its calls.
            exit_sender.send_replace(Some(exit.unwrap_or_else(ExitReason::shutdown)));
        };
        context.tasks.spawn(task.instrument(context.span.clone()));
        Self {
            context,
            info,
            requests,
            read_permits: Arc::new(Semaphore::new(BackendLimits::MAX_READS)),
            change_permits: Arc::new(Semaphore::new(BackendLimits::MAX_CHANGES)),
            watch_permit: Arc::new(Semaphore::new(1)),
            exit,
            calls,
            sleep_permits,
            _shutdown: guard,
        }
    }

    /// Waits until the control store has ended and returns the reason.
    pub async fn wait_for_exit(&self) -> ExitReason {
        ExitReason::wait(&mut self.exit.clone()).await
    }

    /// Returns the resources in use now.
    pub fn usage(&self) -> UsageSnapshot {
        let BackendContext {
            limits,
            host,
            memory,
            log_permits,
            ..
        } = &*self.context;
        let used =
            |all: usize, permits: &Semaphore| all.saturating_sub(permits.available_permits());
        UsageSnapshot {
            calls: self.calls.len(),
            reads: used(BackendLimits::MAX_READS, &self.read_permits),
            changes: used(BackendLimits::MAX_CHANGES, &self.change_permits),
            watches: used(1, &self.watch_permit),
            sleeps: used(MAX_SLEEPS, &self.sleep_permits),
            log_streams: used(limits.max_log_streams, log_permits),
            connections: used(limits.max_connections, &host.connection_permits),
            memory_bytes: memory.used_bytes(),
        }
    }

    /// Sends a call to the store's task and waits for the reply. There is no
    /// timeout: the caller may drop the future, and the task detects stalls.
    async fn call<T>(
        &self,
        permit: impl Future<Output = Result<OwnedSemaphorePermit, EngineError>>,
        call: impl FnOnce(ReplySender<T>) -> GuestCall,
    ) -> Result<T, EngineError> {
        let permit = permit.await?;
        let exchange = async {
            let (sender, reply) = oneshot::channel();
            let request = ControlRequest {
                call: call(sender),
                permit,
            };
            self.requests.send(request).await.ok()?;
            reply.await.ok()
        };
        match exchange.await {
            Some(reply) => reply,
            None => Err(self.wait_for_exit().await.to_error(&self.info.name)),
        }
    }

    async fn acquire_permit(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, EngineError> {
        match permits.clone().acquire_owned().await {
            Ok(permit) => Ok(permit),
            // Unreachable: the semaphores are never closed.
            Err(_) => Err(self.wait_for_exit().await.to_error(&self.info.name)),
        }
    }

    /// Waits until the previous watch has ended, which must happen soon after its
    /// reader was dropped.
    async fn acquire_watch_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let limit = self.context.limits.stop_grace.saturating_mul(2);
        match tokio::time::timeout(limit, self.acquire_permit(&self.watch_permit)).await {
            Ok(permit) => permit,
            Err(_) => Err(EngineError::new(
                ErrorCode::Timeout,
                format!(
                    "another watch of the backend {} has not ended within {limit:?}; only one watch may run at a time",
                    self.info.name
                ),
            )),
        }
    }

    fn check_container_id(&self, id: &str) -> Result<(), EngineError> {
        let format = self.info.id_format;
        if format.matches(id) {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorCode::InvalidArgument,
            format!(
                "{} is not a container ID; it must be {format}",
                contract::quote(id)
            ),
        ))
    }

    /// Checks that calls can name this namespace: in this version of the
    /// contract they name none, so the guest would take the object of the same
    /// name in the default namespace.
    fn check_namespace(&self, namespace: &str) -> Result<(), EngineError> {
        let default = self.info.default_namespace();
        if namespace == default {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorCode::InvalidArgument,
            format!(
                "the backend {} can be called only for the namespace {default}, not for {}",
                self.info.name,
                contract::quote(namespace)
            ),
        ))
    }

    fn check_container(&self, container: &ContainerRef) -> Result<(), EngineError> {
        self.check_container_id(&container.id)?;
        self.check_namespace(&container.namespace)
    }

    /// Fails unless the backend `is_supported`; `operation` is a verb phrase.
    fn require_capability(&self, is_supported: bool, operation: &str) -> Result<(), EngineError> {
        if is_supported {
            return Ok(());
        }
        Err(self.unsupported(operation))
    }

    fn unsupported(&self, operation: &str) -> EngineError {
        EngineError::new(
            ErrorCode::Unsupported,
            format!("the backend {} cannot {operation}", self.info.name),
        )
    }
}

#[async_trait]
impl ContainerEngine for BackendHandle {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    async fn watch(&self) -> Result<WatchStream, EngineError> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let limits = &self.context.limits;
        let handle = self
            .call(self.acquire_watch_permit(), |reply| GuestCall::Watch {
                stop,
                reply,
            })
            .await?;
        let reader = WatchReader {
            backend: self.info.name.clone(),
            _stop: guard,
            exit: self.exit.clone(),
            stall_timeout: limits.stall_timeout,
            end_grace: limits.stop_grace,
        };
        Ok(reader.into_stream(handle))
    }

    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError> {
        if object.kind == ObjectKind::Container {
            self.check_container_id(&object.id)?;
        }
        if object.kind != ObjectKind::Namespace {
            self.check_namespace(&object.namespace)?;
        }
        let object = object.clone();
        self.call(self.acquire_permit(&self.read_permits), |reply| {
            GuestCall::Inspect { object, reply }
        })
        .await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.require_capability(self.info.capabilities.logs, "read logs")?;
        self.check_container(container)?;
        log_stream::open(&self.context, &container.id, options).await
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.require_capability(self.info.capabilities.actions, "start or stop containers")?;
        self.check_container(container)?;
        let container = container.clone();
        self.call(self.acquire_permit(&self.change_permits), |reply| {
            GuestCall::Act {
                container,
                action,
                reply,
            }
        })
        .await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.require_capability(self.info.capabilities.removals, "remove objects")?;
        if let RemoveTarget::Container { id } = &request.target {
            self.check_container_id(id)?;
        }
        self.check_namespace(&request.namespace)?;
        let request = request.clone();
        self.call(self.acquire_permit(&self.change_permits), |reply| {
            GuestCall::Remove { request, reply }
        })
        .await
    }

    async fn get_entries(
        &self,
        _: &ContainerRef,
        _: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        Err(self.unsupported("read logs as entries"))
    }

    async fn create_container(&self, _: &ContainerSpec) -> Result<String, EngineError> {
        Err(self.unsupported("create containers"))
    }

    async fn create_volume(&self, _: &VolumeSpec) -> Result<String, EngineError> {
        Err(self.unsupported("create volumes"))
    }

    async fn exec(&self, _: &ContainerRef, _: &ExecOptions) -> Result<ExecSession, EngineError> {
        Err(self.unsupported("run processes"))
    }

    async fn pull(&self, _: &PullSpec) -> Result<TransferStream, EngineError> {
        Err(self.unsupported("pull images"))
    }

    async fn push(&self, _: &PushSpec) -> Result<TransferStream, EngineError> {
        Err(self.unsupported("push images"))
    }
}
