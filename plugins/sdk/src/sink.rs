//! Where a backend puts the elements of a stream.
//!
//! A stream call has two ends: the answer to the call itself, and the result
//! beside the stream. [`Responder::accept`] marks the border: an error before
//! it is the call's, an error after it is the stream's.

use futures::channel::oneshot;
use futures::future::LocalBoxFuture;

use crate::types::{Error, Event, LogChunk};

/// The form-specific half of a [`Sink`].
pub trait RawSink<T> {
    /// Hands all items over, waiting while the reader is busy; false once the
    /// reader is gone.
    fn write(&mut self, items: Vec<T>) -> LocalBoxFuture<'_, bool>;
}

/// A stream call that was not answered yet.
pub struct Responder<T> {
    sink: Box<dyn RawSink<T>>,
    accepted: oneshot::Sender<()>,
}

/// Answers `watch`.
pub type WatchResponder = Responder<Event>;
/// Answers `get-logs`.
pub type LogResponder = Responder<LogChunk>;
/// Takes the events of a watch.
pub type WatchSink = Sink<Event>;
/// Takes the chunks of a log.
pub type LogSink = Sink<LogChunk>;

impl<T> Responder<T> {
    /// Pairs a responder with the receiver that fires at its acceptance.
    pub fn new(sink: Box<dyn RawSink<T>>) -> (Self, oneshot::Receiver<()>) {
        let (accepted, receiver) = oneshot::channel();
        (Self { sink, accepted }, receiver)
    }

    /// Answers the call with success; the stream begins.
    pub fn accept(self) -> Sink<T> {
        // Nobody waits for the answer any more: the first write will tell.
        self.accepted.send(()).ok();
        Sink(self.sink)
    }
}

/// The writing end of a stream.
pub struct Sink<T>(Box<dyn RawSink<T>>);

impl<T> Sink<T> {
    /// Hands all items over in order and waits while the reader is busy.
    /// Fails with `cancelled` once the reader is gone; end the call then.
    pub async fn send(&mut self, items: Vec<T>) -> Result<(), Error> {
        if items.is_empty() || self.0.write(items).await {
            Ok(())
        } else {
            Err(Error::cancelled("the host stopped reading"))
        }
    }
}
