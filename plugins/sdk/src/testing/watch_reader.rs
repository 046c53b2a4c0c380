//! A watch, read event by event.

use std::collections::VecDeque;
use std::time::Duration;

use super::call_handle::CallHandle;
use crate::types::{Error, Event, Object, ObjectRef};

/// The maximum time to wait for an event. With virtual time, it takes none.
const PATIENCE: Duration = Duration::from_secs(600);

/// The number of events that a message names.
const MAX_SEEN: usize = 20;

/// A watch in progress. Dropping it stops the call.
///
/// # Panics
///
/// All functions that wait for an event panic if there is none within ten
/// minutes, or if the watch ends; the message names the error that it ended
/// with and the last events.
pub struct WatchReader {
    call: Option<CallHandle<Event>>,
    /// The events of the last batch, in reverse order.
    pending: Vec<Event>,
    /// The last events, for messages.
    seen: VecDeque<Event>,
    patience: Duration,
}

impl WatchReader {
    /// Reads the watch `call`.
    pub fn new(call: CallHandle<Event>) -> Self {
        Self {
            call: Some(call),
            pending: Vec::new(),
            seen: VecDeque::new(),
            patience: PATIENCE,
        }
    }

    /// Limits the wait for an event; the default is ten minutes.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the next event.
    ///
    /// # Panics
    ///
    /// See [`WatchReader`].
    pub async fn next(&mut self) -> Event {
        self.next_before("the next event").await
    }

    /// Returns the events of the next batch.
    ///
    /// # Panics
    ///
    /// See [`WatchReader`].
    pub async fn next_batch(&mut self) -> Vec<Event> {
        let first = self.next_before("a batch of events").await;
        let mut batch = vec![first];
        while let Some(event) = self.pending.pop() {
            self.record(&event);
            batch.push(event);
        }
        batch
    }

    /// Returns the objects of the next listing. Reads on from its `InitBegin`, or
    /// skips to that of the next one.
    ///
    /// # Panics
    ///
    /// See [`WatchReader`]. Also panics if a listing has an event other than
    /// `Applied`.
    pub async fn listing(&mut self) -> Vec<Object> {
        while self.next_before("the begin of a listing").await != Event::InitBegin {}
        let mut objects = Vec::new();
        loop {
            match self.next_before("the end of a listing").await {
                Event::Applied(object) => objects.push(object),
                Event::InitDone => return objects,
                other => panic!("{other:?} within a listing"),
            }
        }
    }

    /// Returns the first result of `select`. Skips the events before it.
    ///
    /// # Panics
    ///
    /// See [`WatchReader`].
    pub async fn until<T>(&mut self, mut select: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next_before("a certain event").await;
            if let Some(found) = select(&event) {
                return found;
            }
        }
    }

    /// Waits until the object is removed.
    ///
    /// # Panics
    ///
    /// See [`WatchReader`].
    pub async fn until_removed(&mut self, object: ObjectRef) {
        let expected = format!("the removal of {object:?}");
        while self.next_before(&expected).await != Event::Removed(object.clone()) {}
    }

    /// Reads all events until the watch ends, and returns its result.
    ///
    /// # Errors
    ///
    /// Fails with the error of the watch.
    pub async fn result(mut self) -> Result<(), Error> {
        let Some(mut call) = self.call.take() else {
            return Ok(());
        };
        while call.next().await.is_some() {}
        call.result().await
    }

    /// Stops the watch as a host does, and waits until everything that it owns
    /// is dropped.
    pub async fn cancel(mut self) {
        if let Some(call) = self.call.take() {
            call.cancel().await;
        }
    }

    async fn next_before(&mut self, expected: &str) -> Event {
        while self.pending.is_empty() {
            let Some(call) = &mut self.call else {
                panic!("the watch ended before {expected}");
            };
            match tokio::time::timeout(self.patience, call.next()).await {
                Ok(Some(batch)) => self.pending = batch,
                Ok(None) => {
                    let ended = match self.call.take() {
                        Some(call) => call.result().await,
                        None => Ok(()),
                    };
                    panic!(
                        "expected {expected}, but the watch ended with {ended:?} after {:?}",
                        self.seen
                    );
                }
                Err(_) => panic!(
                    "expected {expected}, but nothing came in {} s after {:?}",
                    self.patience.as_secs(),
                    self.seen
                ),
            }
            self.pending.reverse();
        }
        let Some(event) = self.pending.pop() else {
            panic!("no event");
        };
        self.record(&event);
        event
    }

    /// Keeps the event for messages.
    fn record(&mut self, event: &Event) {
        if self.seen.len() == MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(event.clone());
    }
}
