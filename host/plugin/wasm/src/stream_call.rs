//! A call that returns a stream, in a store of its own: logs, processes, and
//! transfers.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use rdd_core::EngineError;
use rdd_plugin_contract::{ExitReason, InstanceMemory};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use wasmtime::component::{
    Access, ComponentNamedList, FutureReader, Lift, Lower, StreamReader, TypedFunc,
};

use crate::backend_context::BackendContext;
use crate::bindings::types;
use crate::convert::{self, StreamItem};
use crate::exports::InstanceExports;
use crate::host_state::HostState;
use crate::item_stream::{self, BUFFER_BYTES, OpenReader};
use crate::plugin_instance::{
    OneshotConsumer, PluginInstance, RunError, close_streams, stop_future, stop_overdue,
};

/// The streams that a call returns: its items, and its result.
type GuestStreams<G, R> = (StreamReader<G>, FutureReader<Result<R, types::Error>>);

/// The export that a call calls.
pub(crate) type StreamFunction<G, R, P> = TypedFunc<P, (Result<GuestStreams<G, R>, types::Error>,)>;

/// Returns the export that a call calls, if the component has it.
type FunctionOf<G, R, P> = fn(&InstanceExports) -> Option<StreamFunction<G, R, P>>;

/// Creates the parameters of a call. The last one is the stop signal.
type ParamsOf<P> =
    Box<dyn FnOnce(&mut Access<'_, HostState>, FutureReader<()>) -> wasmtime::Result<P> + Send>;

/// A call that returns a stream of `T` and then an `R`, with the parameters `P`.
pub(crate) struct StreamCall<T: StreamItem, R, P> {
    /// The name of the export.
    pub(crate) name: &'static str,
    /// What the stream is called in errors, such as `log stream`.
    pub(crate) stream: &'static str,
    /// Returns the export.
    pub(crate) function: FunctionOf<T::Guest, R, P>,
    pub(crate) params: ParamsOf<P>,
    /// The registry whose credentials the guest may ask for.
    pub(crate) registry: Option<String>,
    /// Whether the result may come long after the end of the stream.
    pub(crate) has_late_result: bool,
}

/// An open stream and its result.
pub(crate) struct OpenStream<T, R> {
    /// The items. Dropping it before its end stops the call.
    pub(crate) items: BoxStream<'static, T>,
    /// The result of the call.
    pub(crate) result: BoxFuture<'static, Result<R, EngineError>>,
}

impl<T: StreamItem> OpenStream<T, ()> {
    /// Returns a stream whose last item is the error of the call, if it failed.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<T, EngineError>> {
        let Self { items, result } = self;
        let end = result
            .into_stream()
            .filter_map(|result| futures::future::ready(result.err().map(Err)));
        items.map(Ok).chain(end).boxed()
    }
}

/// Starts a call in a new store and waits until the guest has returned its
/// stream. The caller has checked the arguments and the capability.
pub(crate) async fn open<T, R, P>(
    context: &Arc<BackendContext>,
    permit: OwnedSemaphorePermit,
    call: StreamCall<T, R, P>,
) -> Result<OpenStream<T, R>, EngineError>
where
    T: StreamItem,
    R: Lift + Send + Sync + 'static,
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    let backend = context.host.name.clone();
    let stream = call.stream;
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (reply, opened) = oneshot::channel();
    let (result_sender, result) = oneshot::channel();
    let task = StreamTask {
        context: context.clone(),
        stop,
        call,
    };
    let task = async move {
        let result = task.run(reply).await;
        // Fails if the reader was dropped.
        result_sender.send(result).ok();
        drop(permit);
    };
    context.tasks.spawn(task.instrument(context.span.clone()));
    match opened.await {
        Ok(Ok(reader)) => {
            let result = async move {
                result.await.unwrap_or_else(|_| {
                    Err(ExitReason::task_panicked().to_stream_error(stream, &backend))
                })
            };
            Ok(OpenStream {
                items: reader.into_stream(guard),
                result: result.boxed(),
            })
        }
        Ok(Err(error)) => Err(error),
        // The store ended before the call returned.
        Err(_) => match result.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => Err(ExitReason::shutdown().to_error(&backend)),
            Err(_) => Err(ExitReason::task_panicked().to_stream_error(stream, &backend)),
        },
    }
}

/// The task that owns the store of one call.
struct StreamTask<T: StreamItem, R, P> {
    context: Arc<BackendContext>,
    stop: CancellationToken,
    call: StreamCall<T, R, P>,
}

impl<T, R, P> StreamTask<T, R, P>
where
    T: StreamItem,
    R: Lift + Send + Sync + 'static,
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    async fn run(
        self,
        reply: oneshot::Sender<Result<OpenReader<T>, EngineError>>,
    ) -> Result<R, EngineError> {
        let Self {
            context,
            stop,
            call,
        } = self;
        let (grace, stream) = (context.limits.stop_grace, call.stream);
        let ended = tokio::select! {
            ended = run_call(&context, &stop, call, reply) => ended,
            () = stop_overdue(&stop, grace) => Err(ExitReason::violation(format!(
                "violated the contract: it continued for {grace:?} after its stop signal"
            ))),
            () = context.shutdown.cancelled() => Err(ExitReason::shutdown()),
        };
        match ended {
            Ok(result) => result,
            Err(exit) => {
                if exit.is_guest_fault {
                    tracing::warn!(error = exit.message, stream, "stream failed");
                }
                Err(exit.to_stream_error(stream, &context.host.name))
            }
        }
    }
}

/// Runs the call in a new store. The outer error is the end of the store, the
/// inner one is the guest's.
async fn run_call<T, R, P>(
    context: &BackendContext,
    stop: &CancellationToken,
    call: StreamCall<T, R, P>,
    reply: oneshot::Sender<Result<OpenReader<T>, EngineError>>,
) -> Result<Result<R, EngineError>, ExitReason>
where
    T: StreamItem,
    R: Lift + Send + Sync + 'static,
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    let StreamCall {
        name,
        stream: _,
        function,
        params,
        registry,
        has_late_result,
    } = call;
    let memory = InstanceMemory::new(
        context.limits.log_memory_bytes,
        context.stream_memory.clone(),
    );
    let _buffers = memory.hold(BUFFER_BYTES)?;
    let mut instance = PluginInstance::instantiate(
        &context.component,
        &context.limits,
        context.host.clone(),
        memory,
    )
    .await?;
    instance.set_registry(registry);
    let (calls, progress) = (instance.calls(), instance.progress());
    let stall_timeout = context.limits.stall_timeout;
    instance
        .run(async |accessor, exports| {
            let Some(function) = function(exports) else {
                // Checked at launch, when the capabilities were read.
                return Err(RunError::Host(ExitReason::violation(format!(
                    "violated the contract: it does not export {name}"
                ))));
            };
            let stop_reader = stop_future(accessor, stop)?;
            let call = accessor.with(|mut access| {
                let params = params(&mut access, stop_reader)?;
                function.start_call_concurrent(access, params)
            })?;
            let tracked = calls.track(call.task());
            tracked.state().set_stop(stop.clone());
            let result = tokio::select! {
                result = function.finish_call_concurrent(accessor, call) => result?.0,
                () = tracked.state().stalled(stall_timeout) => {
                    return Err(RunError::Host(ExitReason::stalled(name, stall_timeout)));
                }
            };
            let (stream, end) = match result {
                Ok(streams) => streams,
                Err(error) => {
                    // Fails if the caller gave up.
                    reply.send(Err(convert::engine_error(error.clone()))).ok();
                    return Ok(Err(convert::engine_error(error)));
                }
            };
            let (open, closed) = oneshot::channel();
            let (consumer, reader) = item_stream::channel(progress, open);
            if reply.send(Ok(reader)).is_err() {
                close_streams(accessor, stream, end)?;
                return Err(RunError::Host(ExitReason::shutdown()));
            }
            let (guest_end_sender, guest_end) = oneshot::channel();
            accessor.with(|mut access| {
                stream.pipe(&mut access, consumer)?;
                end.pipe(&mut access, OneshotConsumer::new(guest_end_sender))
            })?;
            // Nothing is ever sent: the error says that the consumer was dropped.
            closed.await.err();
            let guest_end = match has_late_result {
                true => Ok(guest_end.await),
                false => tokio::time::timeout(context.limits.stop_grace, guest_end).await,
            };
            match guest_end {
                Ok(Ok(result)) => Ok(result.map_err(convert::engine_error)),
                Ok(Err(_)) | Err(_) => Err(RunError::Host(ExitReason::violation(
                    "violated the contract: it ended without a result",
                ))),
            }
        })
        .await
}
