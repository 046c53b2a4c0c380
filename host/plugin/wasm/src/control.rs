//! The task that owns the control store: all calls of a backend except for logs.
//!
//! A call may take as long as the engine does. A call that stalls (see
//! [`call_tracker`](crate::call_tracker)) fails for its caller, and the store is
//! replaced as soon as that interrupts no other call, or once so many calls have
//! stalled that there would be no capacity for others.

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use rdd_core::{BackendInfo, EngineError, ErrorCode};
use rdd_plugin_contract::validation::{self, WatchValidator};
use rdd_plugin_contract::{
    BackendLimits, ContractError, ExitReason, InstanceMemory, ProgressCounter, QueueCounter,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{
    Accessor, ComponentNamedList, FutureReader, Lift, Lower, StreamReader, TypedFunc,
};

use crate::bindings::{engine, types};
use crate::call_counter::CallCounter;
use crate::call_tracker::{CallTracker, TrackedCall};
use crate::control_request::{ControlRequest, GuestCall, ReplySender};
use crate::convert;
use crate::exports::InstanceExports;
use crate::host_state::HostState;
use crate::plugin_instance::{
    OneshotConsumer, PluginInstance, RunError, close_streams, stop_future, stop_overdue,
};
use crate::watch_stream::{self, WatchConsumer, WatchHandle};

/// The task that owns a control store.
pub(crate) struct ControlTask {
    pub(crate) info: BackendInfo,
    pub(crate) limits: BackendLimits,
    pub(crate) calls: Arc<CallTracker>,
    pub(crate) counter: CallCounter,
    pub(crate) memory: Arc<InstanceMemory>,
    pub(crate) progress: Arc<ProgressCounter>,
    pub(crate) queued_events: QueueCounter,
}

impl ControlTask {
    /// Serves requests until the guest fails or all senders are dropped.
    pub(crate) async fn serve(
        &self,
        instance: &mut PluginInstance,
        mut requests: mpsc::Receiver<ControlRequest>,
    ) -> Result<(), ExitReason> {
        instance
            .run(async |accessor, exports| {
                let mut calls = FuturesUnordered::new();
                let mut replaceable = pin!(self.counter.wait_until_replaceable());
                loop {
                    tokio::select! {
                        Some(result) = calls.next() => result?,
                        request = requests.recv() => match request {
                            Some(request) if request.call.is_abandoned() => {}
                            Some(request) => calls.push(self.run_call(accessor, exports, request)),
                            None => return Ok(()),
                        },
                        () = &mut replaceable => {
                            let exit = ExitReason::stalled("a call", self.limits.stall_timeout);
                            return Err(RunError::Host(exit));
                        }
                    }
                }
            })
            .await
    }

    async fn run_call(
        &self,
        accessor: &Accessor<HostState>,
        exports: &InstanceExports,
        ControlRequest { call, permit }: ControlRequest,
    ) -> Result<(), RunError> {
        let engine = &exports.engine;
        let convert_unit = |result: Result<(), types::Error>| result.map_err(convert::engine_error);
        // The future that the guest gets resolves at the latest when this call ends,
        // so that the host does not keep it for a guest that does.
        let ended = CancellationToken::new();
        let _ended = ended.clone().drop_guard();
        match call {
            GuestCall::Watch { stop, reply } => {
                let stop_reader = stop_future(accessor, &stop)?;
                let (call, result) =
                    self.start_call(accessor, engine.func_watch(), (stop_reader,), &stop)?;
                let result = pin!(result);
                let stalled = pin!(call.state().stalled(self.limits.stall_timeout));
                let watch = match select(result, stalled).await {
                    Either::Left((result, _)) => result?.0,
                    // No other watch can start while this one does not end.
                    Either::Right(_) => {
                        let exit = ExitReason::stalled("watch", self.limits.stall_timeout);
                        return Err(RunError::Host(exit));
                    }
                };
                match watch {
                    Ok((stream, end)) => {
                        self.run_watch(accessor, stream, end, &stop, reply, &call)
                            .await?;
                    }
                    Err(error) => send_reply(reply, Err(convert::engine_error(error))),
                }
            }
            GuestCall::Inspect {
                object,
                stop,
                reply,
            } => {
                let params = (
                    convert::to_object_ref(&object),
                    stop_future(accessor, &stop)?,
                );
                let started = self.start_call(accessor, engine.func_inspect(), params, &stop)?;
                let finished = self.finish_call("inspect", started, reply, |result| match result {
                    Ok(inspection) => convert::inspection(self.info.id_format, &object, inspection)
                        .map_err(|error| self.violation(&error)),
                    Err(error) => Err(convert::engine_error(error)),
                });
                self.until_overdue("inspect", &stop, finished).await?;
                stop.cancel();
            }
            GuestCall::Act {
                container,
                action,
                reply,
            } => {
                let lifecycle = lifecycle(exports)?;
                let params = (
                    convert::to_container_ref(&container),
                    convert::to_action(action),
                    stop_future(accessor, &ended)?,
                );
                let started = self.start_call(accessor, lifecycle.func_act(), params, &ended)?;
                self.finish_call("act", started, reply, convert_unit)
                    .await?;
            }
            GuestCall::Remove { request, reply } => {
                let lifecycle = lifecycle(exports)?;
                let params = (
                    convert::to_removal(&request),
                    stop_future(accessor, &ended)?,
                );
                let started = self.start_call(accessor, lifecycle.func_remove(), params, &ended)?;
                self.finish_call("remove", started, reply, convert_unit)
                    .await?;
            }
            GuestCall::CreateContainer { spec, reply } => {
                let lifecycle = lifecycle(exports)?;
                let params = (
                    convert::to_container_spec(&spec),
                    stop_future(accessor, &ended)?,
                );
                let started =
                    self.start_call(accessor, lifecycle.func_create_container(), params, &ended)?;
                self.finish_call("create-container", started, reply, |result| {
                    let id = result.map_err(convert::engine_error)?;
                    validation::created_container(self.info.id_format, &id)
                        .map_err(|error| self.violation(&error))?;
                    Ok(id)
                })
                .await?;
            }
            GuestCall::CreateVolume { spec, reply } => {
                let lifecycle = lifecycle(exports)?;
                let params = (
                    convert::to_volume_spec(&spec),
                    stop_future(accessor, &ended)?,
                );
                let started =
                    self.start_call(accessor, lifecycle.func_create_volume(), params, &ended)?;
                self.finish_call("create-volume", started, reply, |result| {
                    let name = result.map_err(convert::engine_error)?;
                    validation::created_volume(&name).map_err(|error| self.violation(&error))?;
                    Ok(name)
                })
                .await?;
            }
            GuestCall::Ping { reply } => {
                let started = self.start_call(accessor, engine.func_ping(), (), &ended)?;
                started.0.state().set_probe();
                self.finish_call("ping", started, reply, convert_unit)
                    .await?;
            }
        }
        drop(permit);
        Ok(())
    }

    /// Returns the error of a call whose response violates the contract.
    fn violation(&self, error: &ContractError) -> EngineError {
        ExitReason::guest_fault(error.to_string()).to_error(&self.info.name)
    }

    /// Waits for a call to finish. One that continues for longer than the grace
    /// period after `stop` counts as stalled from then on.
    async fn until_overdue(
        &self,
        name: &str,
        stop: &CancellationToken,
        call: impl Future<Output = Result<(), RunError>>,
    ) -> Result<(), RunError> {
        let overdue = pin!(stop_overdue(stop, self.limits.stop_grace));
        match select(pin!(call), overdue).await {
            Either::Left((result, _)) => result,
            Either::Right(((), call)) => {
                tracing::warn!(
                    call = name,
                    grace = ?self.limits.stop_grace,
                    "call continues after its stop signal"
                );
                let _stalled = self.counter.count_stalled();
                call.await
            }
        }
    }

    /// Starts a call and tracks what it waits for.
    fn start_call<'a, P, R>(
        &self,
        accessor: &'a Accessor<HostState>,
        function: TypedFunc<P, R>,
        params: P,
        stop: &CancellationToken,
    ) -> wasmtime::Result<(
        TrackedCall,
        impl Future<Output = wasmtime::Result<R>> + use<'a, P, R>,
    )>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let call = accessor.with(|store| function.start_call_concurrent(store, params))?;
        let tracked = self.calls.track(call.task());
        tracked.state().set_stop(stop.clone());
        Ok((tracked, function.finish_call_concurrent(accessor, call)))
    }

    /// Waits for the guest's result and sends it to the caller. If the call
    /// stalls, the caller gets an error, and the result is still awaited.
    async fn finish_call<R, T>(
        &self,
        name: &str,
        (call, result): (TrackedCall, impl Future<Output = wasmtime::Result<(R,)>>),
        reply: ReplySender<T>,
        convert: impl FnOnce(R) -> Result<T, EngineError>,
    ) -> Result<(), RunError> {
        let active = self.counter.count_active();
        let stalled = pin!(call.state().stalled(self.limits.stall_timeout));
        match select(pin!(result), stalled).await {
            Either::Left((result, _)) => {
                // A ping goes on as long as anything else does.
                if !call.state().is_probe() {
                    self.progress.record();
                }
                send_reply(reply, convert(result?.0));
            }
            Either::Right(((), result)) => {
                let exit = ExitReason::stalled(name, self.limits.stall_timeout);
                let message = format!("the backend {} {}", self.info.name, exit.message);
                send_reply(reply, Err(EngineError::new(ErrorCode::Timeout, message)));
                let _stalled = self.counter.count_stalled();
                drop(active);
                result.await?;
            }
        }
        Ok(())
    }

    async fn run_watch(
        &self,
        accessor: &Accessor<HostState>,
        stream: StreamReader<engine::Event>,
        end: FutureReader<Result<(), types::Error>>,
        stop: &CancellationToken,
        reply: ReplySender<WatchHandle>,
        call: &TrackedCall,
    ) -> Result<(), RunError> {
        if reply.is_closed() {
            return Ok(close_streams(accessor, stream, end)?);
        }
        let (batches, events) = mpsc::channel(watch_stream::MAX_QUEUED_BATCHES);
        let (guest_end_sender, guest_end) = oneshot::channel();
        accessor.with(|mut access| {
            let consumer = WatchConsumer::new(
                batches,
                WatchValidator::new(&self.info, &self.limits, &self.memory),
                self.memory.clone(),
                self.progress.clone(),
                self.queued_events.clone(),
            );
            stream.pipe(&mut access, consumer)?;
            end.pipe(&mut access, OneshotConsumer::new(guest_end_sender))
        })?;
        let (end_sender, end) = oneshot::channel();
        let handle = WatchHandle {
            events,
            end,
            call: call.state().clone(),
        };
        send_reply(reply, Ok(handle));
        let grace = self.limits.stop_grace;
        tokio::select! {
            end = guest_end => {
                if let Ok(end) = end {
                    // Fails if the reader was dropped.
                    end_sender.send(end).ok();
                }
                Ok(())
            }
            () = stop_overdue(stop, grace) => Err(RunError::Host(ExitReason::violation(format!(
                "violated the contract: a watch continued for {grace:?} after its stop signal"
            )))),
        }
    }
}

/// Returns the interface `lifecycle`. The capabilities were compared with the
/// exports at the launch, so it is missing only after a bug of the host.
fn lifecycle(exports: &InstanceExports) -> Result<&crate::bindings::lifecycle::Guest, RunError> {
    exports.lifecycle.as_ref().ok_or_else(|| {
        RunError::Host(ExitReason::violation(
            "violated the contract: it does not export lifecycle",
        ))
    })
}

fn send_reply<T>(reply: ReplySender<T>, result: Result<T, EngineError>) {
    // Fails if the caller gave up.
    reply.send(result).ok();
}
