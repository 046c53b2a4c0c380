//! The watch: a snapshot as an init, then the events that follow it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use rdd_core::{EngineError, ErrorCode, WatchEvent, WatchStream};

use super::{FakeEngine, Shared};

struct Watcher {
    shared: Arc<Shared>,
    pending: VecDeque<WatchEvent>,
    /// How much of the journal this watcher has been given.
    read: usize,
    /// How many cuts there had been when it began.
    cuts: u64,
    ended: bool,
}

pub(super) fn stream(shared: Arc<Shared>) -> WatchStream {
    let (pending, read, cuts) = {
        let state = shared.lock();
        (state.init(), state.journal.len(), state.cuts)
    };
    let watcher = Watcher {
        shared,
        pending,
        read,
        cuts,
        ended: false,
    };
    stream::unfold(watcher, |mut watcher| async move {
        let item = watcher.next().await?;
        watcher.ended = item.is_err();
        Some((item, watcher))
    })
    .boxed()
}

impl Watcher {
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
                if state.cuts != self.cuts {
                    let words = "the event stream was cut";
                    return Some(Err(EngineError::new(ErrorCode::Unavailable, words)));
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

/// The watch, as a test bends it.
impl FakeEngine {
    /// Keeps events back: the state moves on, watchers see nothing yet.
    pub fn hold_events(&self) {
        self.change(|state| {
            if !state.events_held {
                state.events_held = true;
                state.held_from = state.journal.len();
            }
        });
    }

    /// Delivers what was kept back, in order.
    pub fn release_events(&self) {
        self.change(|state| state.events_held = false);
    }

    /// Loses what was kept back, and begins a whole new init, as a backend
    /// does that has missed events.
    pub fn lose_held_events(&self) {
        self.change(|state| {
            let init = state.init();
            state.journal.extend(init);
            state.events_held = false;
        });
    }

    /// Loses what was kept back without a word, as an engine does to a slow
    /// reader.
    pub fn drop_held_events(&self) {
        self.change(|state| {
            let from = state.held_from;
            state.journal.truncate(from);
            state.events_held = false;
        });
    }

    /// Ends the running watches with an error; the engine goes on.
    pub fn cut_watches(&self) {
        self.change(|state| state.cuts += 1);
    }

    /// Begins a whole new init on the running watches.
    pub fn reinit(&self) {
        self.change(|state| {
            let init = state.init();
            state.journal.extend(init);
        });
    }

    /// Sends an event that the state knows nothing of: a backend's nonsense.
    pub fn send_raw(&self, event: WatchEvent) {
        self.change(|state| state.journal.push(event));
    }
}
