//! A log, in a store of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::task::AtomicWaker;
use futures::{Stream, StreamExt};
use rdd_core::{EngineError, LogChunk, LogOptions, LogStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::backend::Shared;
use crate::bindings::engine;
use crate::check::violation;
use crate::convert;
use crate::guest::{Death, Failure, Guest, Resolve, close, hangs, overdue, stop_future};

/// Bytes of one stream that may wait for its reader.
const MAX_BUFFERED: usize = 256 * 1024;
/// A chunk is taken from the guest only below this mark, so that the largest
/// one still fits.
const HIGH_WATER: usize = MAX_BUFFERED - LogChunk::MAX_LEN;
/// Batches that wait for the reader. A busy guest sends one chunk at a time,
/// and the bytes run out before the batches do.
const BATCHES: usize = 16;
/// Chunks of one batch: bounds what a guest with thousands of tiny ones can
/// make the host allocate.
const BATCH: usize = 256;

/// Bytes between the guest and the reader.
#[derive(Default)]
struct Gauge {
    buffered: AtomicUsize,
    guest: AtomicWaker,
}

struct Sink {
    to: PollSender<Vec<LogChunk>>,
    gauge: Arc<Gauge>,
    /// Dropped with the sink: the guest has sent its last chunk.
    _open: oneshot::Sender<()>,
}

impl<D> StreamConsumer<D> for Sink {
    type Item = engine::LogChunk;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, engine::LogChunk>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wait = |finish| match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        self.gauge.guest.register(cx.waker());
        if self.gauge.buffered.load(Ordering::Acquire) > HIGH_WATER {
            return wait(finish);
        }
        match self.to.poll_reserve(cx) {
            Poll::Pending => return wait(finish),
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut batch = Vec::with_capacity(1);
        while batch.len() < BATCH
            && source.remaining(&mut store) > 0
            && self.gauge.buffered.load(Ordering::Acquire) <= HIGH_WATER
        {
            let mut chunk = None;
            source.read(&mut store, &mut chunk)?;
            let Some(engine::LogChunk { source, bytes }) = chunk else {
                break;
            };
            if bytes.len() > LogChunk::MAX_LEN {
                return Poll::Ready(Err(violation!(
                    "a log chunk holds {} bytes; {} are allowed",
                    bytes.len(),
                    LogChunk::MAX_LEN
                )
                .into()));
            }
            self.gauge.buffered.fetch_add(bytes.len(), Ordering::AcqRel);
            batch.push(LogChunk {
                source: convert::log_source(source),
                bytes: bytes.into(),
            });
        }
        if batch.is_empty() {
            self.to.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.to.send_item(batch) {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// The reader's end of a log.
struct Logs {
    from: mpsc::Receiver<Vec<LogChunk>>,
    batch: std::vec::IntoIter<LogChunk>,
    gauge: Arc<Gauge>,
    /// How it ended; gone once it was told.
    end: Option<oneshot::Receiver<Result<(), EngineError>>>,
    backend: String,
    _stop: DropGuard,
}

impl Stream for Logs {
    type Item = Result<LogChunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.batch.next() {
                this.gauge
                    .buffered
                    .fetch_sub(chunk.bytes.len(), Ordering::AcqRel);
                this.gauge.guest.wake();
                return Poll::Ready(Some(Ok(chunk)));
            }
            let Some(end) = &mut this.end else {
                return Poll::Ready(None);
            };
            match ready!(this.from.poll_recv(cx)) {
                Some(batch) => this.batch = batch.into_iter(),
                None => {
                    let ended = ready!(Pin::new(end).poll(cx))
                        .unwrap_or_else(|_| Err(Death::untold().stream_error(&this.backend)));
                    this.end = None;
                    return Poll::Ready(ended.err().map(Err));
                }
            }
        }
    }
}

/// What the task of a log gives its caller.
struct Opened {
    from: mpsc::Receiver<Vec<LogChunk>>,
    gauge: Arc<Gauge>,
}

/// Opens a log. The caller has checked the ID and the capability.
pub(crate) async fn open(
    shared: &Arc<Shared>,
    id: &str,
    options: &LogOptions,
) -> Result<LogStream, EngineError> {
    let options = convert::to_log_options(options);
    let slot = shared.log_slot()?;
    let backend = shared.grants.name.clone();
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (reply, opened) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    let task = Task {
        shared: shared.clone(),
        stop,
        id: id.to_owned(),
        options,
    };
    shared.tasks.spawn(async move {
        let end = task.run(reply).await;
        // The reader may be gone.
        ended.send(end).ok();
        drop(slot);
    });
    match opened.await {
        Ok(Ok(Opened { from, gauge })) => Ok(Logs {
            from,
            batch: Vec::new().into_iter(),
            gauge,
            end: Some(end),
            backend,
            _stop: guard,
        }
        .boxed()),
        Ok(Err(error)) => Err(error),
        // The store died before the call was answered.
        Err(_) => match end.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Err(Death::blameless("was shut down").error(&backend)),
            Err(_) => Err(Death::untold().stream_error(&backend)),
        },
    }
}

struct Task {
    shared: Arc<Shared>,
    stop: CancellationToken,
    id: String,
    options: engine::LogOptions,
}

impl Task {
    async fn run(
        self,
        reply: oneshot::Sender<Result<Opened, EngineError>>,
    ) -> Result<(), EngineError> {
        let Self {
            shared,
            stop,
            id,
            options,
        } = self;
        let grace = shared.limits.stop_grace;
        let backend = &shared.grants.name;
        let ended = tokio::select! {
            ended = log(&shared, &stop, id, options, reply) => ended,
            () = overdue(&stop, grace) => {
                tracing::warn!(backend, "a log went on for {grace:?} after it was told to stop");
                Err(Death::blamed("broke the contract: a log did not stop"))
            }
            () = shared.closing.cancelled() => Err(Death::blameless("was shut down")),
        };
        match ended {
            Ok(ended) => ended,
            Err(death) => {
                if death.blamed {
                    tracing::warn!(
                        backend,
                        reason = death.reason,
                        "a log stream of the backend failed"
                    );
                }
                Err(death.stream_error(backend))
            }
        }
    }
}

async fn log(
    shared: &Shared,
    stop: &CancellationToken,
    id: String,
    options: engine::LogOptions,
    reply: oneshot::Sender<Result<Opened, EngineError>>,
) -> Result<Result<(), EngineError>, Death> {
    let mut guest = Guest::start(
        &shared.program,
        &shared.limits,
        shared.limits.log_memory,
        shared.grants.clone(),
        shared.budget.clone(),
    )
    .await?;
    let activity = guest.activity();
    let stall = shared.limits.stall;
    guest
        .run(async |accessor, bindings| {
            let told = stop_future(accessor, stop)?;
            let function = bindings.rancher_desktop_engine_engine().func_get_logs();
            let call = accessor
                .with(|store| function.start_call_concurrent(store, (id, options, told)))?;
            let followed = activity.follow(call.task());
            let called = tokio::select! {
                called = function.finish_call_concurrent(accessor, call) => called?.0,
                () = followed.progress().hung(stall) => {
                    return Err(Failure::Ours(hangs("get-logs", stall)));
                }
            };
            let (stream, end) = match called {
                Ok(opened) => opened,
                Err(error) => {
                    // The caller may have given up.
                    reply.send(Err(convert::error(error))).ok();
                    return Ok(Ok(()));
                }
            };
            let (to, from) = mpsc::channel(BATCHES);
            let gauge = Arc::new(Gauge::default());
            let opened = Opened {
                from,
                gauge: gauge.clone(),
            };
            if reply.send(Ok(opened)).is_err() {
                close(accessor, stream, end)?;
                return Ok(Ok(()));
            }
            let (open, closed) = oneshot::channel();
            let (ended, end_of_guest) = oneshot::channel();
            let sink = Sink {
                to: PollSender::new(to),
                gauge,
                _open: open,
            };
            accessor.with(|mut access| {
                stream.pipe(&mut access, sink)?;
                end.pipe(&mut access, Resolve(Some(ended)))
            })?;
            // An error says that the sender was dropped: that is the signal.
            closed.await.err();
            let ended = tokio::time::timeout(shared.limits.stop_grace, end_of_guest).await;
            match ended {
                Ok(Ok(ended)) => Ok(ended.map_err(convert::error)),
                Ok(Err(_)) | Err(_) => Err(Failure::Ours(Death::blamed(
                    "broke the contract: a log ended and its future did not",
                ))),
            }
        })
        .await
}
