//! The channel between a stream of the library and its reader.

use rdd_core::EngineError;
use tokio::sync::mpsc;

use crate::library_fault::{CallError, LibraryFault};
use crate::library_stream::{ItemView, LibraryStream, QueuedMemory, SizedItem};

/// The number of batches that wait for the reader.
const MAX_QUEUED_BATCHES: usize = 2;

/// The limits of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
}

impl BatchLimits {
    /// For output and logs: with [`MAX_QUEUED_BATCHES`] and one that is being
    /// filled, about 256 KiB wait for a reader.
    pub(crate) const OUTPUT: Self = Self {
        items: 256,
        bytes: 64 * 1024,
    };
    /// For the events of a watch, each of which may be as large as the contract
    /// allows.
    pub(crate) const EVENTS: Self = Self {
        items: 64,
        bytes: 8 * 1024 * 1024,
    };
}

/// Consecutive items of a stream.
pub(crate) struct StreamBatch<T> {
    pub(crate) items: Vec<T>,
    /// What counts these items, if they are counted.
    pub(crate) queued: Vec<QueuedMemory>,
    /// The result that accompanies the stream, if these were the last items.
    pub(crate) end: Option<Result<(), EngineError>>,
}

/// The writer's end of the channel.
pub(crate) type BatchSender<T> = mpsc::Sender<StreamBatch<T>>;

/// Creates a channel for the items of a stream.
pub(crate) fn channel<T>() -> (BatchSender<T>, mpsc::Receiver<StreamBatch<T>>) {
    mpsc::channel(MAX_QUEUED_BATCHES)
}

/// Sends the items of a stream to the reader, each at once while the reader keeps
/// up, otherwise in batches. Returns the result that accompanies the stream, or
/// `None` if the reader is gone.
///
/// # Errors
///
/// Fails if the library is faulty, after everything before the fault was sent.
pub(crate) async fn pump<T>(
    stream: &LibraryStream,
    batches: &BatchSender<T>,
    limits: BatchLimits,
    mut convert: impl FnMut(ItemView<'_>) -> Result<SizedItem<T>, LibraryFault>,
) -> Result<Option<Result<(), EngineError>>, LibraryFault> {
    let (mut items, mut queued) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    let end = loop {
        let is_full = items.len() >= limits.items || bytes >= limits.bytes;
        let next = tokio::select! {
            biased;
            slot = batches.reserve(), if !items.is_empty() => {
                let Ok(slot) = slot else { return Ok(None) };
                let items = std::mem::take(&mut items);
                let queued = std::mem::take(&mut queued);
                bytes = 0;
                slot.send(StreamBatch { items, queued, end: None });
                continue;
            }
            next = stream.next(&mut convert), if !is_full => next,
            () = batches.closed() => return Ok(None),
        };
        match next {
            Ok(Some(next)) => {
                items.push(next.item);
                queued.extend(next.queued);
                bytes += next.bytes;
            }
            Ok(None) => break Ok(Ok(())),
            Err(CallError::Failed(error)) => break Ok(Err(error)),
            Err(CallError::Fault(fault)) => break Err(fault),
        }
    };
    let batch = StreamBatch {
        items,
        queued,
        end: end.as_ref().ok().cloned(),
    };
    // If the reader is gone, nothing is left to do.
    batches.send(batch).await.ok();
    end.map(Some)
}
