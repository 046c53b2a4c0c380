//! A log stream, in a store of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::task::AtomicWaker;
use futures::{Stream, StreamExt};
use rdd_core::{EngineError, LogOptions, LogStream, OutputChunk};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};
use tracing::Instrument as _;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::backend::BackendContext;
use crate::bindings::engine;
use crate::contract::contract_error;
use crate::convert;
use crate::exit_reason::ExitReason;
use crate::plugin_instance::{
    OneshotConsumer, PluginInstance, RunError, close_streams, stop_future, stop_overdue,
};

/// The maximum number of bytes of one stream that wait for its reader.
const MAX_BUFFERED_BYTES: usize = 256 * 1024;
/// A chunk is read from the guest only while at most this many bytes wait, so
/// that the largest chunk still fits.
const HIGH_WATER_BYTES: usize = MAX_BUFFERED_BYTES - OutputChunk::MAX_LEN;
/// The maximum number of batches that wait for the reader. A busy guest sends one
/// chunk at a time, and reaches the limit in bytes first.
const MAX_QUEUED_BATCHES: usize = 16;
/// The maximum number of chunks in one batch. It bounds what the host allocates
/// for a guest that sends thousands of tiny chunks.
const MAX_BATCH_CHUNKS: usize = 256;

/// The bytes that wait for the reader, and the waker of the guest's stream.
#[derive(Default)]
struct Backpressure {
    buffered_bytes: AtomicUsize,
    waker: AtomicWaker,
}

/// The consumer of the guest's stream.
struct LogConsumer {
    batches: PollSender<Vec<OutputChunk>>,
    backpressure: Arc<Backpressure>,
    /// Dropped with the consumer, after the guest's last chunk.
    _open: oneshot::Sender<()>,
}

impl<D> StreamConsumer<D> for LogConsumer {
    type Item = engine::LogChunk;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, engine::LogChunk>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let pending = |finish| match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        self.backpressure.waker.register(cx.waker());
        if self.backpressure.buffered_bytes.load(Ordering::Acquire) > HIGH_WATER_BYTES {
            return pending(finish);
        }
        match self.batches.poll_reserve(cx) {
            Poll::Pending => return pending(finish),
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut batch = Vec::with_capacity(1);
        while batch.len() < MAX_BATCH_CHUNKS
            && source.remaining(&mut store) > 0
            && self.backpressure.buffered_bytes.load(Ordering::Acquire) <= HIGH_WATER_BYTES
        {
            let mut chunk = None;
            source.read(&mut store, &mut chunk)?;
            let Some(engine::LogChunk { source, bytes }) = chunk else {
                break;
            };
            if bytes.len() > OutputChunk::MAX_LEN {
                return Poll::Ready(Err(contract_error!(
                    "a log chunk has {} bytes; {} are allowed",
                    bytes.len(),
                    OutputChunk::MAX_LEN
                )
                .into()));
            }
            self.backpressure
                .buffered_bytes
                .fetch_add(bytes.len(), Ordering::AcqRel);
            batch.push(OutputChunk {
                source: convert::output_source(source),
                bytes: bytes.into(),
            });
        }
        if batch.is_empty() {
            self.batches.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.batches.send_item(batch) {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// The reader's side of a log.
struct LogReader {
    batches: mpsc::Receiver<Vec<OutputChunk>>,
    batch: std::vec::IntoIter<OutputChunk>,
    backpressure: Arc<Backpressure>,
    /// The result of the stream; `None` once it was returned.
    end: Option<oneshot::Receiver<Result<(), EngineError>>>,
    backend: String,
    _stop: DropGuard,
}

impl Stream for LogReader {
    type Item = Result<OutputChunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.batch.next() {
                this.backpressure
                    .buffered_bytes
                    .fetch_sub(chunk.bytes.len(), Ordering::AcqRel);
                this.backpressure.waker.wake();
                return Poll::Ready(Some(Ok(chunk)));
            }
            let Some(end) = &mut this.end else {
                return Poll::Ready(None);
            };
            match ready!(this.batches.poll_recv(cx)) {
                Some(batch) => this.batch = batch.into_iter(),
                None => {
                    let result = ready!(Pin::new(end).poll(cx)).unwrap_or_else(|_| {
                        Err(ExitReason::task_panicked().to_stream_error(&this.backend))
                    });
                    this.end = None;
                    return Poll::Ready(result.err().map(Err));
                }
            }
        }
    }
}

/// An open log, as its task returns it.
struct LogHandle {
    batches: mpsc::Receiver<Vec<OutputChunk>>,
    backpressure: Arc<Backpressure>,
}

/// Opens a log. The caller has checked the ID and the capability.
pub(crate) async fn open(
    context: &Arc<BackendContext>,
    id: &str,
    options: &LogOptions,
) -> Result<LogStream, EngineError> {
    let options = convert::to_log_options(options);
    let permit = context.acquire_log_permit()?;
    let backend = context.host.name.clone();
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (reply, opened) = oneshot::channel();
    let (end_sender, end) = oneshot::channel();
    let task = LogTask {
        context: context.clone(),
        stop,
        id: id.to_owned(),
        options,
    };
    let task = async move {
        let result = task.run(reply).await;
        // Fails if the reader was dropped.
        end_sender.send(result).ok();
        drop(permit);
    };
    context.tasks.spawn(task.instrument(context.span.clone()));
    match opened.await {
        Ok(Ok(LogHandle {
            batches,
            backpressure,
        })) => Ok(LogReader {
            batches,
            batch: Vec::new().into_iter(),
            backpressure,
            end: Some(end),
            backend,
            _stop: guard,
        }
        .boxed()),
        Ok(Err(error)) => Err(error),
        // The store ended before the call returned.
        Err(_) => match end.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Err(ExitReason::shutdown().to_error(&backend)),
            Err(_) => Err(ExitReason::task_panicked().to_stream_error(&backend)),
        },
    }
}

/// The task that owns the store of one log stream.
struct LogTask {
    context: Arc<BackendContext>,
    stop: CancellationToken,
    id: String,
    options: engine::LogOptions,
}

impl LogTask {
    async fn run(
        self,
        reply: oneshot::Sender<Result<LogHandle, EngineError>>,
    ) -> Result<(), EngineError> {
        let Self {
            context,
            stop,
            id,
            options,
        } = self;
        let grace = context.limits.stop_grace;
        let ended = tokio::select! {
            ended = run_log(&context, &stop, id, options, reply) => ended,
            () = stop_overdue(&stop, grace) => Err(ExitReason::guest_fault(format!(
                "violated the contract: it continued for {grace:?} after its stop signal"
            ))),
            () = context.shutdown.cancelled() => Err(ExitReason::shutdown()),
        };
        match ended {
            Ok(result) => result,
            Err(exit) => {
                if exit.is_guest_fault {
                    tracing::warn!(error = exit.message, "log stream failed");
                }
                Err(exit.to_stream_error(&context.host.name))
            }
        }
    }
}

/// Runs `get-logs` in a new store. The outer error is the end of the store, the
/// inner one is the guest's.
async fn run_log(
    context: &BackendContext,
    stop: &CancellationToken,
    id: String,
    options: engine::LogOptions,
    reply: oneshot::Sender<Result<LogHandle, EngineError>>,
) -> Result<Result<(), EngineError>, ExitReason> {
    let mut instance = PluginInstance::instantiate(
        &context.component,
        &context.limits,
        context.limits.log_memory_bytes,
        context.host.clone(),
        context.memory.clone(),
    )
    .await?;
    let calls = instance.calls();
    let stall_timeout = context.limits.stall_timeout;
    instance
        .run(async |accessor, bindings| {
            let stop_reader = stop_future(accessor, stop)?;
            let function = bindings.rancher_desktop_engine_engine().func_get_logs();
            let call = accessor
                .with(|store| function.start_call_concurrent(store, (id, options, stop_reader)))?;
            let tracked = calls.track(call.task());
            let result = tokio::select! {
                result = function.finish_call_concurrent(accessor, call) => result?.0,
                () = tracked.state().stalled(stall_timeout) => {
                    return Err(RunError::Host(ExitReason::stalled("get-logs", stall_timeout)));
                }
            };
            let (stream, end) = match result {
                Ok(streams) => streams,
                Err(error) => {
                    // Fails if the caller gave up.
                    reply.send(Err(convert::error(error))).ok();
                    return Ok(Ok(()));
                }
            };
            let (batch_sender, batches) = mpsc::channel(MAX_QUEUED_BATCHES);
            let backpressure = Arc::new(Backpressure::default());
            let handle = LogHandle {
                batches,
                backpressure: backpressure.clone(),
            };
            if reply.send(Ok(handle)).is_err() {
                close_streams(accessor, stream, end)?;
                return Ok(Ok(()));
            }
            let (open, closed) = oneshot::channel();
            let (guest_end_sender, guest_end) = oneshot::channel();
            let consumer = LogConsumer {
                batches: PollSender::new(batch_sender),
                backpressure,
                _open: open,
            };
            accessor.with(|mut access| {
                stream.pipe(&mut access, consumer)?;
                end.pipe(&mut access, OneshotConsumer::new(guest_end_sender))
            })?;
            // Nothing is ever sent: the error says that the consumer was dropped.
            closed.await.err();
            match tokio::time::timeout(context.limits.stop_grace, guest_end).await {
                Ok(Ok(result)) => Ok(result.map_err(convert::error)),
                Ok(Err(_)) | Err(_) => Err(RunError::Host(ExitReason::guest_fault(
                    "violated the contract: it ended without a result",
                ))),
            }
        })
        .await
}
