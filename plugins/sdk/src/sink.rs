//! The sink that a backend writes the items of a stream to.
//!
//! A stream call has two results: the response of the call itself, and the
//! result that accompanies the stream. [`StreamResponder::accept`] separates
//! them: an error before it is the call's, an error after it is the stream's.

use futures::channel::{mpsc, oneshot};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, SinkExt};

use crate::types::{EntryBatch, Error, Event, OutputChunk, TransferProgress};

/// The implementation of a [`StreamSink`], one for each form of a plugin.
pub trait SinkWriter<T> {
    /// Writes all items and waits while the reader is busy. Returns false if
    /// the reader is gone.
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool>;
}

/// The responder of a stream call. To fail the call, drop it and return an
/// error.
pub struct StreamResponder<T> {
    writer: Box<dyn SinkWriter<T>>,
    accepted: oneshot::Sender<()>,
}

/// The responder of a `watch` call.
pub type WatchResponder = StreamResponder<Event>;
/// The responder of a `get-logs` call.
pub type LogResponder = StreamResponder<OutputChunk>;
/// The responder of a `get-entries` call.
pub type EntryResponder = StreamResponder<EntryBatch>;
/// The responder of an `exec` call.
pub type OutputResponder = StreamResponder<OutputChunk>;
/// The responder of a `pull` or `push` call.
pub type TransferResponder = StreamResponder<TransferProgress>;
/// The sink for the events of a watch.
pub type WatchSink = StreamSink<Event>;
/// The sink for the chunks of a log.
pub type LogSink = StreamSink<OutputChunk>;
/// The sink for the entries of a log.
pub type EntrySink = StreamSink<EntryBatch>;
/// The sink for the output of a process.
pub type OutputSink = StreamSink<OutputChunk>;
/// The sink for the progress of a transfer.
pub type TransferSink = StreamSink<TransferProgress>;

impl<T> StreamResponder<T> {
    /// Creates a responder and the receiver that resolves when it is accepted.
    pub fn new(writer: Box<dyn SinkWriter<T>>) -> (Self, oneshot::Receiver<()>) {
        let (accepted, receiver) = oneshot::channel();
        (Self { writer, accepted }, receiver)
    }

    /// Responds to the call with success and begins the stream.
    pub fn accept(self) -> StreamSink<T> {
        // If the caller is gone, the first write fails.
        self.accepted.send(()).ok();
        StreamSink(self.writer)
    }
}

/// The writing end of a stream.
pub struct StreamSink<T>(Box<dyn SinkWriter<T>>);

impl<T> StreamSink<T> {
    /// Writes all items in order and waits while the reader is busy.
    ///
    /// # Errors
    ///
    /// Fails with `cancelled` if the reader is gone; return this error from the
    /// call.
    pub async fn send(&mut self, items: Vec<T>) -> Result<(), Error> {
        if items.is_empty() || self.0.write(items).await {
            Ok(())
        } else {
            Err(Error::cancelled("the host stopped reading"))
        }
    }
}

/// For the forms of a plugin without streams of their own.
impl<T> SinkWriter<T> for mpsc::Sender<Vec<T>> {
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool> {
        async { self.send(items).await.is_ok() }.boxed_local()
    }
}
