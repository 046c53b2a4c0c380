//! The items of a stream on their way from the guest to the reader.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures::stream::BoxStream;
use futures::task::AtomicWaker;
use futures::{Stream, StreamExt as _};
use rdd_plugin_contract::ProgressCounter;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{DropGuard, PollSender};
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};

use crate::convert::StreamItem;

/// An item is read from the guest only while at most this many bytes wait for
/// the reader. With the largest item, a batch of entries of 160 KiB, 352 KiB wait.
const HIGH_WATER_BYTES: usize = 192 * 1024;
/// The maximum number of batches that wait for the reader. A busy guest sends one
/// item at a time, and reaches the limit in bytes first.
const MAX_QUEUED_BATCHES: usize = 16;
/// What the host may hold for one stream, as above. It is part of the memory of the
/// store from its beginning: to count what actually waits would cost an operation
/// on a counter that all streams share, for each chunk.
pub(crate) const BUFFER_BYTES: usize = HIGH_WATER_BYTES + 160 * 1024;
/// The maximum number of items in one batch. It bounds what the host allocates
/// for a guest that sends thousands of tiny items.
const MAX_BATCH_ITEMS: usize = 256;

/// The bytes that wait for the reader, and the waker of the guest's stream.
#[derive(Default)]
struct Backpressure {
    buffered_bytes: AtomicUsize,
    waker: AtomicWaker,
}

/// Creates the two halves of a stream. The consumer drops `open` after the guest's
/// last item.
pub(crate) fn channel<T: StreamItem>(
    progress: Arc<ProgressCounter>,
    open: oneshot::Sender<()>,
) -> (ItemConsumer<T>, OpenReader<T>) {
    let (sender, batches) = mpsc::channel(MAX_QUEUED_BATCHES);
    let backpressure = Arc::new(Backpressure::default());
    let reader = OpenReader {
        batches,
        backpressure: backpressure.clone(),
    };
    let consumer = ItemConsumer {
        batches: PollSender::new(sender),
        backpressure,
        validator: T::Validator::default(),
        progress,
        _open: open,
    };
    (consumer, reader)
}

/// The consumer of the guest's stream.
pub(crate) struct ItemConsumer<T: StreamItem> {
    batches: PollSender<Vec<T>>,
    backpressure: Arc<Backpressure>,
    validator: T::Validator,
    progress: Arc<ProgressCounter>,
    /// Dropped with the consumer, after the guest's last item.
    _open: oneshot::Sender<()>,
}

// No field is pinned.
impl<T: StreamItem> Unpin for ItemConsumer<T> {}

impl<D, T: StreamItem> StreamConsumer<D> for ItemConsumer<T> {
    type Item = T::Guest;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, T::Guest>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let pending = |finish| match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        let this = &mut *self;
        this.backpressure.waker.register(cx.waker());
        if this.backpressure.buffered_bytes.load(Ordering::Acquire) > HIGH_WATER_BYTES {
            return pending(finish);
        }
        match this.batches.poll_reserve(cx) {
            Poll::Pending => return pending(finish),
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut batch = Vec::with_capacity(1);
        while batch.len() < MAX_BATCH_ITEMS
            && source.remaining(&mut store) > 0
            && this.backpressure.buffered_bytes.load(Ordering::Acquire) <= HIGH_WATER_BYTES
        {
            let mut item = None;
            source.read(&mut store, &mut item)?;
            let Some(item) = item else { break };
            let item = T::convert(item, &mut this.validator)?;
            this.backpressure
                .buffered_bytes
                .fetch_add(item.memory_bytes(), Ordering::AcqRel);
            batch.push(item);
        }
        if batch.is_empty() {
            this.batches.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        this.progress.record();
        Poll::Ready(Ok(match this.batches.send_item(batch) {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

/// The reader's half of a stream, before it is read.
pub(crate) struct OpenReader<T> {
    batches: mpsc::Receiver<Vec<T>>,
    backpressure: Arc<Backpressure>,
}

impl<T: StreamItem> OpenReader<T> {
    /// Converts it to the stream of the items. Dropping the stream before its end
    /// drops `stop`.
    pub(crate) fn into_stream(self, stop: DropGuard) -> BoxStream<'static, T> {
        let Self {
            batches,
            backpressure,
        } = self;
        let reader = ItemReader {
            batches,
            batch: Vec::new().into_iter(),
            backpressure,
            stop: Some(stop),
        };
        reader.boxed()
    }
}

/// The reader's side of a stream. It ends when the guest's stream does.
struct ItemReader<T> {
    batches: mpsc::Receiver<Vec<T>>,
    batch: std::vec::IntoIter<T>,
    backpressure: Arc<Backpressure>,
    /// Stops the call if the reader is dropped before the end.
    stop: Option<DropGuard>,
}

impl<T> Unpin for ItemReader<T> {}

impl<T: StreamItem> Stream for ItemReader<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        loop {
            if let Some(item) = this.batch.next() {
                this.backpressure
                    .buffered_bytes
                    .fetch_sub(item.memory_bytes(), Ordering::AcqRel);
                this.backpressure.waker.wake();
                return Poll::Ready(Some(item));
            }
            match ready!(this.batches.poll_recv(cx)) {
                Some(batch) => this.batch = batch.into_iter(),
                None => {
                    if let Some(stop) = this.stop.take() {
                        stop.disarm();
                    }
                    return Poll::Ready(None);
                }
            }
        }
    }
}
