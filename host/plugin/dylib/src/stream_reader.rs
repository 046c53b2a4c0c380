//! The reader's end of a stream whose other end is on the thread of an instance.

use std::vec;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use rdd_core::EngineError;
use rdd_plugin_contract::ExitReason;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::library_stream::QueuedMemory;
use crate::stream_batch::StreamBatch;

/// The reader's end of a stream. Dropping it before the end stops the call.
pub(crate) struct StreamReader<T> {
    /// The backend's name, for error messages.
    pub(crate) backend: String,
    /// What an error message calls the stream; `None` if it is a stream of the
    /// control instance, whose end is that of the whole backend.
    pub(crate) name: Option<&'static str>,
    pub(crate) batches: mpsc::Receiver<StreamBatch<T>>,
    pub(crate) exit: watch::Receiver<Option<ExitReason>>,
    pub(crate) stop: CancellationToken,
    current: vec::IntoIter<T>,
    queued: Vec<QueuedMemory>,
    /// The result that accompanies the stream, once it was read.
    end: Option<Result<(), EngineError>>,
}

impl<T: Send + 'static> StreamReader<T> {
    pub(crate) fn new(
        backend: &str,
        name: Option<&'static str>,
        batches: mpsc::Receiver<StreamBatch<T>>,
        exit: watch::Receiver<Option<ExitReason>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            backend: backend.to_owned(),
            name,
            batches,
            exit,
            stop,
            current: Vec::new().into_iter(),
            queued: Vec::new(),
            end: None,
        }
    }

    /// Converts the reader to a stream that ends with its first error.
    pub(crate) fn into_stream(self) -> BoxStream<'static, Result<T, EngineError>> {
        stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(item)) => Some((Ok(item), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<T>, EngineError> {
        loop {
            if let Some(item) = self.current.next() {
                drop(self.queued.pop());
                return Ok(Some(item));
            }
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            // What was sent before the instance ended comes first.
            let batch = tokio::select! {
                biased;
                batch = self.batches.recv() => batch,
                exit = ExitReason::wait(&mut self.exit) => match self.batches.try_recv() {
                    Ok(batch) => Some(batch),
                    Err(_) => return Err(self.error(&exit)),
                },
            };
            match batch {
                Some(StreamBatch { items, queued, end }) => {
                    self.current = items.into_iter();
                    self.queued = queued;
                    self.end = end;
                }
                None => {
                    let exit = ExitReason::wait(&mut self.exit).await;
                    return Err(self.error(&exit));
                }
            }
        }
    }

    /// Returns the error for a stream without a result.
    fn error(&self, exit: &ExitReason) -> EngineError {
        stream_error(exit, self.name, &self.backend)
    }
}

/// Returns the error for a stream whose instance has ended.
pub(crate) fn stream_error(
    exit: &ExitReason,
    name: Option<&'static str>,
    backend: &str,
) -> EngineError {
    match name {
        Some(name) => exit.to_stream_error(name, backend),
        None => exit.to_error(backend),
    }
}

impl<T> Drop for StreamReader<T> {
    fn drop(&mut self) {
        // After the end of its output, a process goes on until its exit code.
        if self.end.is_none() {
            self.stop.cancel();
        }
    }
}
