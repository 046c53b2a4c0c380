//! A running backend: the handle to its control instance.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{BackendInfo, EngineError, ErrorCode};
use rdd_plugin_contract::{
    ArgumentValidator, BackendInstance, BackendLimits, ExitReason, InstanceMemory, UsageSnapshot,
};
use rdd_sdk_abi as abi;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use crate::backend_context::BackendContext;
use crate::control::{CallCounter, ControlCall, ControlRequest, ControlTask};
use crate::host_context::InstanceKind;
use crate::instance_host::MAX_TIMERS;
use crate::instance_reply::receive_reply;
use crate::instance_thread::{self, InstanceSpec};
use crate::library_fault::LibraryFault;
use crate::{json, probe};

/// The capacity of the channel to the control instance. Each request holds a
/// permit, so the channel is never full for long.
const MAX_QUEUED_REQUESTS: usize = BackendLimits::MAX_READS + BackendLimits::MAX_CHANGES + 2;

/// A running backend, from the creation of a control instance to its end.
pub struct LibraryHandle {
    pub(crate) context: Arc<BackendContext>,
    pub(crate) info: BackendInfo,
    requests: mpsc::Sender<ControlRequest>,
    pub(crate) read_permits: Arc<Semaphore>,
    change_permits: Arc<Semaphore>,
    watch_permit: Arc<Semaphore>,
    timer_permits: Arc<Semaphore>,
    pub(crate) exit: watch::Receiver<Option<ExitReason>>,
    calls: CallCounter,
    /// Stops the calls of the control instance together with the handle.
    pub(crate) shutdown: CancellationToken,
    _shutdown_guard: DropGuard,
}

impl LibraryHandle {
    /// Starts the control instance, and waits until it has been created.
    pub(crate) async fn spawn(
        context: &Arc<BackendContext>,
        info: BackendInfo,
    ) -> Result<Self, ExitReason> {
        let (requests, received) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let shutdown = context.shutdown.child_token();
        let shutdown_guard = shutdown.clone().drop_guard();
        let timer_permits = Arc::new(Semaphore::new(MAX_TIMERS));
        let calls = CallCounter::default();
        let spec = InstanceSpec {
            kind: InstanceKind::Control,
            timer_permits: timer_permits.clone(),
            stop: shutdown.clone(),
        };
        let (created, is_created) = oneshot::channel();
        let task = ControlTask {
            info: info.clone(),
            calls: calls.clone(),
            limits: context.limits.clone(),
            memory: InstanceMemory::new(
                context.limits.control_memory_bytes,
                context.control_memory.clone(),
            ),
            queued_events: context.host.metrics.queued_events.clone(),
        };
        let exit = instance_thread::spawn(context, spec, async move |instance| {
            // Fails if the launch was given up, which also ends this instance.
            created.send(()).ok();
            task.serve(instance, received).await
        })
        .map_err(|error| ExitReason::guest_fault(format!("cannot be started: {error}")))?;
        let handle = Self {
            context: context.clone(),
            info,
            requests,
            read_permits: Arc::new(Semaphore::new(BackendLimits::MAX_READS)),
            change_permits: Arc::new(Semaphore::new(BackendLimits::MAX_CHANGES)),
            watch_permit: Arc::new(Semaphore::new(1)),
            timer_permits,
            exit,
            calls,
            shutdown,
            _shutdown_guard: shutdown_guard,
        };
        // The watchdog ends the wait if `create` does not return.
        let mut exit = handle.exit.clone();
        tokio::select! {
            biased;
            Ok(()) = is_created => {}
            exit = ExitReason::wait(&mut exit) => return Err(exit),
        }
        handle.spawn_probe();
        Ok(handle)
    }

    fn spawn_probe(&self) {
        let probe = probe::run(
            self.context.clone(),
            self.calls.clone(),
            self.requests.downgrade(),
        );
        let (shutdown, mut exit) = (self.shutdown.clone(), self.exit.clone());
        let task = async move {
            tokio::select! {
                () = probe => {}
                () = shutdown.cancelled() => {}
                _ = exit.wait_for(Option::is_some) => {}
            }
        };
        let span = self.context.host.span.clone();
        self.context.tasks.spawn(task.instrument(span));
    }

    /// Sends a request to the control instance.
    pub(crate) async fn send(
        &self,
        permit: OwnedSemaphorePermit,
        stop: CancellationToken,
        call: ControlCall,
    ) -> Result<(), EngineError> {
        let request = ControlRequest { call, stop, permit };
        match self.requests.send(request).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.wait_for_exit().await.to_error(&self.info.name)),
        }
    }

    /// Makes a call with one result. There is no time limit: the caller may drop
    /// the future.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        stop: CancellationToken,
        (name, function): (&'static str, abi::StartCall),
        parameters: String,
        decode: impl FnOnce(&str) -> Result<T, LibraryFault> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (sender, reply) = oneshot::channel();
        let complete = move |result: Result<String, EngineError>| {
            let reply = match result {
                Ok(text) => Ok(decode(&text)?),
                Err(error) => Err(error),
            };
            // The caller may have stopped waiting.
            sender.send(reply).ok();
            Ok(())
        };
        let call = ControlCall::Single {
            name,
            function,
            parameters,
            complete: Box::new(complete),
        };
        self.send(permit, stop, call).await?;
        self.wait_for_reply(reply).await
    }

    pub(crate) async fn wait_for_reply<T>(
        &self,
        reply: oneshot::Receiver<Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let mut exit = self.exit.clone();
        match receive_reply(reply, exit.wait_for(Option::is_some)).await {
            Some(result) => result,
            None => Err(self.wait_for_exit().await.to_error(&self.info.name)),
        }
    }

    /// Makes a change. It is not stopped when its caller leaves, since half a
    /// change is worse than a whole one.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        (name, function): (&'static str, Option<abi::StartCall>),
        parameters: &(impl Serialize + Sync),
        decode: impl FnOnce(&str) -> Result<T, LibraryFault> + Send + 'static,
    ) -> Result<T, EngineError> {
        let function = self.required(name, function)?;
        let parameters = encode(parameters)?;
        let permit = {
            let _waiting = self.context.host.metrics.waiting_changes.enter(1);
            self.acquire_permit(&self.change_permits).await?
        };
        let stop = self.shutdown.clone();
        self.call(permit, stop, (name, function), parameters, decode)
            .await
    }

    /// Returns a function whose capability was checked before.
    pub(crate) fn required<F>(&self, name: &str, function: Option<F>) -> Result<F, EngineError> {
        function.ok_or_else(|| {
            EngineError::new(
                ErrorCode::Unsupported,
                format!("the backend {} has no function {name}", self.info.name),
            )
        })
    }

    pub(crate) async fn acquire_permit(
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
    pub(crate) async fn acquire_watch_permit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
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

    pub(crate) fn arguments(&self) -> ArgumentValidator<'_> {
        ArgumentValidator::new(&self.info)
    }
}

#[async_trait]
impl BackendInstance for LibraryHandle {
    async fn wait_for_exit(&self) -> ExitReason {
        ExitReason::wait(&mut self.exit.clone()).await
    }

    fn usage(&self) -> UsageSnapshot {
        let BackendContext {
            limits,
            host,
            permits,
            control_memory,
            ..
        } = &*self.context;
        let used =
            |all: usize, permits: &Semaphore| all.saturating_sub(permits.available_permits());
        UsageSnapshot {
            calls: self.calls.get(),
            reads: used(BackendLimits::MAX_READS, &self.read_permits),
            changes: used(BackendLimits::MAX_CHANGES, &self.change_permits),
            watches: used(1, &self.watch_permit),
            sleeps: used(MAX_TIMERS, &self.timer_permits),
            log_streams: permits.logs.used(),
            execs: permits.execs.used(),
            transfers: permits.transfers.used(),
            connections: used(limits.max_connections, &host.connection_permits),
            // The library shares the daemon's memory.
            memory_bytes: 0,
            held_bytes: control_memory.host_bytes(),
        }
    }
}

/// Encodes the parameters of a call.
pub(crate) fn encode(parameters: &impl Serialize) -> Result<String, EngineError> {
    json::encode(parameters).map_err(|error| {
        EngineError::new(
            ErrorCode::Internal,
            format!("cannot encode the parameters of a call: {error}"),
        )
    })
}
