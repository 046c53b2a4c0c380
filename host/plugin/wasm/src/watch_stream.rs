//! A watch, from the guest's stream to the host's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use rdd_core::{EngineError, ErrorCode, WatchEvent, WatchStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{DropGuard, PollSender};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::activity::Progress;
use crate::bindings::engine::Event;
use crate::bindings::types;
use crate::guest::{Death, hangs};
use crate::limits::TRANSFER_BYTES;
use crate::reflector::Reflector;

/// Elements that cross the boundary at once: enough to make the crossing
/// cheap, few enough that the reader sees the first ones early.
const BATCH: usize = 64;
/// Batches that wait for the reader. A batch ends with the object that takes
/// it beyond [`TRANSFER_BYTES`]; a usual one has 100 KiB.
pub(crate) const BATCHES: usize = 4;

/// The guest's end of a watch.
pub(crate) struct Sink {
    to: PollSender<Vec<WatchEvent>>,
    reflector: Reflector,
}

impl Sink {
    pub(crate) fn new(to: mpsc::Sender<Vec<WatchEvent>>, reflector: Reflector) -> Self {
        Self {
            to: PollSender::new(to),
            reflector,
        }
    }
}

impl<D> StreamConsumer<D> for Sink {
    type Item = Event;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, Event>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.to.poll_reserve(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut events = Vec::with_capacity(source.remaining(&mut store).min(BATCH));
        let mut bytes = 0;
        // One by one: each may be as large as the contract allows.
        while events.len() < events.capacity() && bytes < TRANSFER_BYTES {
            let mut event = None;
            source.read(&mut store, &mut event)?;
            let Some(event) = event else { break };
            events.push(self.reflector.next(event)?);
            bytes += self.reflector.last_weight();
        }
        if events.is_empty() {
            self.to.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        Poll::Ready(Ok(match self.to.send_item(events) {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// The host's end of a watch, before it is a stream.
pub(crate) struct Opened {
    pub(crate) events: mpsc::Receiver<Vec<WatchEvent>>,
    pub(crate) end: oneshot::Receiver<Result<(), types::Error>>,
    /// What the guest waits for.
    pub(crate) progress: Arc<Progress>,
}

/// What the reader of a watch needs to know beside its events.
pub(crate) struct Reader {
    /// The backend's name, for its errors.
    pub(crate) backend: String,
    /// Tells the guest when the reader goes.
    pub(crate) _stop: DropGuard,
    /// Tells the reader why the guest went.
    pub(crate) death: watch::Receiver<Option<Death>>,
    /// How long a listing may send nothing while it waits for nothing.
    pub(crate) stall: Duration,
    /// How long the end of the stream may go unexplained.
    pub(crate) end_grace: Duration,
}

impl Reader {
    /// The watch as its reader sees it.
    pub(crate) fn stream(self, opened: Opened) -> WatchStream {
        let state = State {
            reader: self,
            opened,
            batch: Vec::new().into_iter(),
            listing: true,
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

struct State {
    reader: Reader,
    opened: Opened,
    batch: std::vec::IntoIter<WatchEvent>,
    /// Whether the next elements belong to a listing, which must not stall.
    listing: bool,
}

impl State {
    async fn next(&mut self) -> Option<Result<WatchEvent, EngineError>> {
        loop {
            if let Some(event) = self.batch.next() {
                match event {
                    WatchEvent::InitBegin => self.listing = true,
                    WatchEvent::InitDone => self.listing = false,
                    WatchEvent::Applied(_) | WatchEvent::Removed(_) => {}
                }
                return Some(Ok(event));
            }
            let batch = if self.listing {
                let Reader { stall, backend, .. } = &self.reader;
                let Opened {
                    events, progress, ..
                } = &mut self.opened;
                // What was sent until now is with the reader: from here on it
                // is the guest's time.
                progress.moved();
                tokio::select! {
                    batch = events.recv() => batch,
                    () = progress.hung(*stall) => {
                        let Death { reason, .. } = hangs("a listing", *stall);
                        let message = format!("the backend {backend} {reason}");
                        return Some(Err(EngineError::new(ErrorCode::Timeout, message)));
                    }
                }
            } else {
                self.opened.events.recv().await
            };
            match batch {
                Some(batch) => self.batch = batch.into_iter(),
                None => return self.end().await.err().map(Err),
            }
        }
    }

    async fn end(&mut self) -> Result<(), EngineError> {
        let Reader {
            backend,
            death,
            end_grace,
            ..
        } = &mut self.reader;
        match tokio::time::timeout(*end_grace, &mut self.opened.end).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(crate::convert::error(error)),
            Ok(Err(_)) => Err(Death::of(death).await.error(backend)),
            Err(_) => Err(Death::blamed(
                "broke the contract: a watch ended and its future did not",
            )
            .error(backend)),
        }
    }
}
