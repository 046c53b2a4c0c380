//! A running backend: the handle to the task that owns its control store.

mod engine_calls;

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{BackendInfo, EngineError, ErrorCode};
use rdd_plugin_contract::{
    ArgumentValidator, BackendInstance, BackendLimits, ExitReason, UsageSnapshot,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::DropGuard;
use tracing::Instrument as _;

use crate::backend_context::BackendContext;
use crate::call_counter::CallCounter;
use crate::call_tracker::CallTracker;
use crate::control::ControlTask;
use crate::control_request::{ControlRequest, GuestCall, ReplySender};
use crate::host_state::MAX_SLEEPS;
use crate::plugin_instance::PluginInstance;
use crate::probe;

/// The capacity of the channel to the task that owns the control store. Each
/// request holds a permit, so the channel is never full for long.
const MAX_QUEUED_REQUESTS: usize = BackendLimits::MAX_READS + BackendLimits::MAX_CHANGES + 2;

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
