//! The watch: a listing of the state, followed by events.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use rdd_core::{EngineError, ErrorCode, WatchEvent, WatchStream};

use super::{FakeEngine, SharedEngine};

struct FakeWatcher {
    shared: Arc<SharedEngine>,
    pending: VecDeque<WatchEvent>,
    /// The number of journal entries that this watcher has read.
    read: usize,
    /// The number of disconnects before this watcher started.
    disconnects: u64,
    ended: bool,
}

pub(super) fn stream(shared: Arc<SharedEngine>) -> WatchStream {
    let (pending, read, disconnects) = {
        let state = shared.lock();
        (state.init(), state.journal.len(), state.disconnects)
    };
    let watcher = FakeWatcher {
        shared,
        pending,
        read,
        disconnects,
        ended: false,
    };
    stream::unfold(watcher, |mut watcher| async move {
        let item = watcher.next().await?;
        watcher.ended = item.is_err();
        Some((item, watcher))
    })
    .boxed()
}

impl FakeWatcher {
    async fn next(&mut self) -> Option<Result<WatchEvent, EngineError>> {
        if self.ended {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            {
                let state = shared.lock();
                if let Some(error) = state.script.offline() {
                    return Some(Err(error.clone()));
                }
                if state.disconnects != self.disconnects {
                    let message = "the event stream was disconnected";
                    return Some(Err(EngineError::new(ErrorCode::Unavailable, message)));
                }
                if !state.events_held {
                    self.pending
                        .extend(state.journal.iter().skip(self.read).cloned());
                    self.read = state.journal.len();
                }
            }
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            changed.await;
        }
    }
}

/// The methods that disturb watches.
impl FakeEngine {
    /// Holds events back: the state changes, but watchers get no events.
    pub fn hold_events(&self) {
        self.change(|state| {
            if !state.events_held {
                state.events_held = true;
                state.held_from = state.journal.len();
            }
        });
    }

    /// Delivers the held events in order.
    pub fn release_events(&self) {
        self.change(|state| state.events_held = false);
    }

    /// Discards the held events and starts a new listing, as a backend does after it
    /// missed events.
    pub fn lose_held_events(&self) {
        self.change(|state| {
            let init = state.init();
            state.journal.extend(init);
            state.events_held = false;
        });
    }

    /// Discards the held events silently, as an engine does for a slow reader.
    pub fn drop_held_events(&self) {
        self.change(|state| {
            let from = state.held_from;
            state.journal.truncate(from);
            state.events_held = false;
        });
    }

    /// Ends the running watches with an error. The engine stays reachable.
    pub fn cut_watches(&self) {
        self.change(|state| state.disconnects += 1);
    }

    /// Ends the running watches and the open logs with an error. The engine stays
    /// reachable.
    pub fn cut_streams(&self) {
        self.change(|state| {
            state.disconnects += 1;
            state.log_disconnects += 1;
        });
    }

    /// Starts a new listing on the running watches.
    pub fn reinit(&self) {
        self.change(|state| {
            let init = state.init();
            state.journal.extend(init);
        });
    }

    /// Sends an event without a change of the state, as a faulty backend would.
    pub fn send_raw(&self, event: WatchEvent) {
        self.change(|state| state.journal.push(event));
    }
}
