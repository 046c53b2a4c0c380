//! Streams that differ in one thing from those of a faultless backend.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use rdd_core::*;
use tokio::sync::mpsc;

/// Reads a stream to its end although nobody wants it any more.
pub(crate) fn keep_open<T: Send + 'static>(
    stream: impl Stream<Item = T> + Send + Unpin + 'static,
) -> stream::BoxStream<'static, T> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut stream = stream;
        while let Some(item) = stream.next().await {
            sender.send(item).ok();
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

/// Repeats the last item at the end.
pub(crate) fn double_last<T: Clone + Send + 'static>(
    stream: stream::BoxStream<'static, Result<T, EngineError>>,
) -> stream::BoxStream<'static, Result<T, EngineError>> {
    let state = (stream, None::<T>, false);
    stream::unfold(state, |(mut stream, last, ended)| async move {
        if ended {
            return None;
        }
        match stream.next().await {
            Some(Ok(item)) => Some((Ok(item.clone()), (stream, Some(item), false))),
            Some(Err(error)) => Some((Err(error), (stream, None, true))),
            None => last.map(|item| (Ok(item), (stream, None, true))),
        }
    })
    .boxed()
}

/// Passes each entry through `f`, in a batch of its own.
pub(crate) fn map_entries(
    stream: EntryStream,
    mut f: impl FnMut(EntryHeader, Bytes) -> Vec<(EntryHeader, Bytes)> + Send + 'static,
) -> EntryStream {
    stream
        .flat_map(move |batch| {
            let batches: Vec<Result<EntryBatch, EngineError>> = match batch {
                Err(error) => vec![Err(error)],
                Ok(batch) if batch.headers().is_empty() => vec![Ok(batch)],
                Ok(batch) => batch
                    .entries()
                    .flat_map(|entry| f(entry.header, Bytes::copy_from_slice(entry.bytes)))
                    .map(|(header, bytes)| {
                        let length = u32::try_from(bytes.len()).unwrap();
                        let header = EntryHeader { length, ..header };
                        Ok(EntryBatch::new(None, vec![header], bytes).unwrap())
                    })
                    .collect(),
            };
            stream::iter(batches)
        })
        .boxed()
}
