//! A running backend: the handle to the task that owns its control store.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EntryBatch, EntryOptions, EntryStream, ErrorCode, ExecOptions, ExecSession, InspectResponse,
    LogOptions, LogStream, ObjectRef, OutputChunk, PullSpec, PushSpec, RemoveRequest,
    TransferProgress, TransferStream, VolumeSpec, WatchStream,
};
use rdd_plugin_contract::{
    ArgumentValidator, BackendInstance, BackendLimits, ExitReason, UsageSnapshot, image_registry,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;
use wasmtime::component::StreamReader;

use crate::backend::BackendContext;
use crate::call_tracker::CallTracker;
use crate::control::{CallCounter, ControlRequest, ControlTask, GuestCall, ReplySender};
use crate::exec_input::{ResizeProducer, StdinProducer};
use crate::host_state::MAX_SLEEPS;
use crate::plugin_instance::PluginInstance;
use crate::stream_call::{self, StreamCall};
use crate::watch_stream::WatchReader;
use crate::{convert, probe};

/// The capacity of the channel to the task that owns the control store. Each
/// request holds a permit, so the channel is never full for long.
const MAX_QUEUED_REQUESTS: usize = BackendLimits::MAX_READS + BackendLimits::MAX_CHANGES + 2;

/// The number of messages to the standard input of a process that wait for the
/// guest. The caller limits their size.
const MAX_QUEUED_INPUTS: usize = 4;

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
            memory: instance.memory(),
            progress: instance.progress(),
            queued_events: context.host.metrics.queued_events.clone(),
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

    async fn acquire_read_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let _waiting = self.context.host.metrics.waiting_reads.enter(1);
        self.acquire_permit(&self.read_permits).await
    }

    async fn acquire_change_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let _waiting = self.context.host.metrics.waiting_changes.enter(1);
        self.acquire_permit(&self.change_permits).await
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

    fn arguments(&self) -> ArgumentValidator<'_> {
        ArgumentValidator::new(&self.info)
    }
}

#[async_trait]
impl BackendInstance for BackendHandle {
    /// Waits until the control store has ended and returns the reason.
    async fn wait_for_exit(&self) -> ExitReason {
        ExitReason::wait(&mut self.exit.clone()).await
    }

    fn usage(&self) -> UsageSnapshot {
        let BackendContext {
            limits,
            host,
            control_memory,
            stream_memory,
            permits,
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
            log_streams: permits.logs.used(),
            execs: permits.execs.used(),
            transfers: permits.transfers.used(),
            connections: used(limits.max_connections, &host.connection_permits),
            memory_bytes: control_memory.guest_bytes() + stream_memory.guest_bytes(),
            held_bytes: control_memory.host_bytes() + stream_memory.host_bytes(),
        }
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
        self.arguments().inspect(object)?;
        let object = object.clone();
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        self.call(self.acquire_read_permit(), |reply| GuestCall::Inspect {
            object,
            stop,
            reply,
        })
        .await
    }

    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        self.arguments().get_logs(container)?;
        let container = convert::to_container_ref(container);
        let options = convert::to_log_options(options);
        let call = StreamCall::<OutputChunk, (), _> {
            name: "get-logs",
            stream: "log stream",
            function: |exports| Some(exports.logs.as_ref()?.func_get_logs()),
            params: Box::new(move |_, stop| Ok((container, options, stop))),
            registry: None,
            has_late_result: false,
        };
        let permit = self.context.permits.logs.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        self.arguments().get_entries(container)?;
        let container = convert::to_container_ref(container);
        let options = convert::to_entry_options(options);
        let call = StreamCall::<EntryBatch, (), _> {
            name: "get-entries",
            stream: "log stream",
            function: |exports| Some(exports.logs.as_ref()?.func_get_entries()),
            params: Box::new(move |_, stop| Ok((container, options, stop))),
            registry: None,
            has_late_result: false,
        };
        let permit = self.context.permits.logs.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        self.arguments().act(container)?;
        let container = container.clone();
        self.call(self.acquire_change_permit(), |reply| GuestCall::Act {
            container,
            action,
            reply,
        })
        .await
    }

    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.arguments().remove(request)?;
        let request = request.clone();
        self.call(self.acquire_change_permit(), |reply| GuestCall::Remove {
            request,
            reply,
        })
        .await
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        self.arguments().create_container(spec)?;
        let spec = Box::new(spec.clone());
        self.call(self.acquire_change_permit(), |reply| {
            GuestCall::CreateContainer { spec, reply }
        })
        .await
    }

    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.arguments().create_volume(spec)?;
        let spec = Box::new(spec.clone());
        self.call(self.acquire_change_permit(), |reply| {
            GuestCall::CreateVolume { spec, reply }
        })
        .await
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        self.arguments().exec(container, options)?;
        let container = convert::to_container_ref(container);
        let (stdin, input) = mpsc::channel(MAX_QUEUED_INPUTS);
        let (resizes, sizes) = watch::channel(None);
        let has_terminal = options.tty;
        let options = convert::to_exec_options(options);
        let call = StreamCall::<OutputChunk, i32, _> {
            name: "exec",
            stream: "exec session",
            function: |exports| Some(exports.processes.as_ref()?.func_exec()),
            params: Box::new(move |access, stop| {
                let stdin = StreamReader::new(&mut *access, StdinProducer::new(input))?;
                let sizes = if has_terminal {
                    ResizeProducer::new(sizes)
                } else {
                    ResizeProducer::none()
                };
                let resizes = StreamReader::new(access, sizes)?;
                Ok((container, options, stdin, resizes, stop))
            }),
            registry: None,
            // A process may live long after it has closed its output.
            has_late_result: true,
        };
        let permit = self.context.permits.execs.acquire()?;
        let open = stream_call::open(&self.context, permit, call).await?;
        Ok(ExecSession {
            stdin,
            resizes,
            output: open.items.map(Ok).boxed(),
            exit: open.result,
        })
    }

    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError> {
        self.arguments().pull(spec)?;
        let registry = Some(image_registry(&spec.image).to_owned());
        let spec = convert::to_pull_spec(spec);
        let call = StreamCall::<TransferProgress, (), _> {
            name: "pull",
            stream: "pull",
            function: |exports| Some(exports.images.as_ref()?.func_pull()),
            params: Box::new(move |_, stop| Ok((spec, stop))),
            registry,
            has_late_result: false,
        };
        let permit = self.context.permits.transfers.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }

    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError> {
        self.arguments().push(spec)?;
        let registry = Some(image_registry(&spec.image).to_owned());
        let spec = convert::to_push_spec(spec);
        let call = StreamCall::<TransferProgress, (), _> {
            name: "push",
            stream: "push",
            function: |exports| Some(exports.images.as_ref()?.func_push()),
            params: Box::new(move |_, stop| Ok((spec, stop))),
            registry,
            has_late_result: false,
        };
        let permit = self.context.permits.transfers.acquire()?;
        Ok(stream_call::open(&self.context, permit, call)
            .await?
            .into_stream())
    }
}
