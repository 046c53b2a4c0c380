//! A watch, from the guest's stream to the host's stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use rdd_core::{EngineError, ErrorCode, WatchEvent, WatchStream};
use rdd_plugin_contract::validation::WatchValidator;
use rdd_plugin_contract::{
    ExitReason, HeldMemory, InstanceMemory, ProgressCounter, QueueCounter, QueueGuard,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{DropGuard, PollSender};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::bindings::engine::Event;
use crate::bindings::types;
use crate::call_tracker::CallState;
use crate::convert;
use crate::limits::TRANSFER_BYTES;

/// The maximum number of events that are read from the guest at once: enough to
/// amortize the cost, few enough that the reader gets the first ones early.
const MAX_BATCH_EVENTS: usize = 64;
/// The maximum number of batches that wait for the reader. A batch ends with the
/// object that takes it beyond [`TRANSFER_BYTES`]; a usual one has 100 KiB.
pub(crate) const MAX_QUEUED_BATCHES: usize = 4;

/// Events on their way to the reader. They count as memory of the store, and as
/// queued, until the reader has taken the last one.
pub(crate) struct EventBatch {
    events: std::vec::IntoIter<WatchEvent>,
    queued: QueueGuard,
    _held: HeldMemory,
}

impl EventBatch {
    fn next(&mut self) -> Option<WatchEvent> {
        let event = self.events.next()?;
        self.queued.leave_one();
        Some(event)
    }
}

/// The consumer of the guest's stream.
pub(crate) struct WatchConsumer {
    batches: PollSender<EventBatch>,
    validator: WatchValidator,
    memory: Arc<InstanceMemory>,
    progress: Arc<ProgressCounter>,
    queue: QueueCounter,
}

impl WatchConsumer {
    pub(crate) fn new(
        batches: mpsc::Sender<EventBatch>,
        validator: WatchValidator,
        memory: Arc<InstanceMemory>,
        progress: Arc<ProgressCounter>,
        queue: QueueCounter,
    ) -> Self {
        Self {
            batches: PollSender::new(batches),
            validator,
            memory,
            progress,
            queue,
        }
    }
}

impl<D> StreamConsumer<D> for WatchConsumer {
    type Item = Event;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, Event>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.batches.poll_reserve(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut events = Vec::with_capacity(source.remaining(&mut store).min(MAX_BATCH_EVENTS));
        let mut bytes = 0;
        // One at a time: each may be as large as the contract allows.
        while events.len() < events.capacity() && bytes < TRANSFER_BYTES {
            let mut event = None;
            source.read(&mut store, &mut event)?;
            let Some(event) = event else { break };
            let mut event = convert::watch_event(event)?;
            self.validator.validate(&mut event)?;
            events.push(event);
            bytes += self.validator.last_object_bytes();
        }
        if events.is_empty() {
            self.batches.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let batch = EventBatch {
            queued: self.queue.enter(events.len()),
            _held: self.memory.hold(bytes)?,
            events: events.into_iter(),
        };
        self.progress.record();
        Poll::Ready(Ok(match self.batches.send_item(batch) {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// A running watch, as the control task returns it.
pub(crate) struct WatchHandle {
    pub(crate) events: mpsc::Receiver<EventBatch>,
    pub(crate) end: oneshot::Receiver<Result<(), types::Error>>,
    /// What the guest's call waits for.
    pub(crate) call: Arc<CallState>,
}

/// The reader's side of a watch.
pub(crate) struct WatchReader {
    /// The backend's name, for error messages.
    pub(crate) backend: String,
    /// Signals the guest to stop when the reader is dropped.
    pub(crate) _stop: DropGuard,
    /// The reason why the store ended.
    pub(crate) exit: watch::Receiver<Option<ExitReason>>,
    /// How long a listing may send nothing while it waits for nothing.
    pub(crate) stall_timeout: Duration,
    /// How long the result may be missing after the end of the stream.
    pub(crate) end_grace: Duration,
}

impl WatchReader {
    /// Converts the watch to a stream that ends with its first error.
    pub(crate) fn into_stream(self, handle: WatchHandle) -> WatchStream {
        let state = WatchState {
            reader: self,
            handle,
            batch: None,
            is_listing: true,
        };
        futures::stream::unfold(Some(state), |state| async {
            let mut state = state?;
            match state.next().await {
                Some(Ok(event)) => Some((Ok(event), Some(state))),
                Some(Err(error)) => Some((Err(error), None)),
                None => None,
            }
        })
        .boxed()
    }
}

struct WatchState {
    reader: WatchReader,
    handle: WatchHandle,
    batch: Option<EventBatch>,
    /// Whether the next events belong to a listing, which must not stall.
    is_listing: bool,
}

impl WatchState {
    async fn next(&mut self) -> Option<Result<WatchEvent, EngineError>> {
        loop {
            if let Some(event) = self.batch.as_mut().and_then(EventBatch::next) {
                match event {
                    WatchEvent::InitBegin => self.is_listing = true,
                    WatchEvent::InitDone => self.is_listing = false,
                    WatchEvent::Applied(_) | WatchEvent::Removed(_) => {}
                }
                return Some(Ok(event));
            }
            // Its memory is free before the reader waits for the next one.
            self.batch = None;
            let batch = if self.is_listing {
                let WatchReader {
                    stall_timeout,
                    backend,
                    ..
                } = &self.reader;
                let WatchHandle { events, call, .. } = &mut self.handle;
                // The reader has everything that was sent so far: only the guest's
                // own time counts from here.
                call.record_progress();
                tokio::select! {
                    batch = events.recv() => batch,
                    () = call.stalled(*stall_timeout) => {
                        let exit = ExitReason::stalled("a listing", *stall_timeout);
                        let message = format!("the backend {backend} {}", exit.message);
                        return Some(Err(EngineError::new(ErrorCode::Timeout, message)));
                    }
                }
            } else {
                self.handle.events.recv().await
            };
            match batch {
                Some(batch) => self.batch = Some(batch),
                None => return self.end().await.err().map(Err),
            }
        }
    }

    /// Returns the result of a watch whose stream has ended.
    async fn end(&mut self) -> Result<(), EngineError> {
        let WatchReader {
            backend,
            exit,
            end_grace,
            ..
        } = &mut self.reader;
        match tokio::time::timeout(*end_grace, &mut self.handle.end).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(convert::engine_error(error)),
            Ok(Err(_)) => Err(ExitReason::wait(exit).await.to_error(backend)),
            Err(_) => Err(ExitReason::violation(
                "violated the contract: a watch ended without a result",
            )
            .to_error(backend)),
        }
    }
}
