use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{WatchEnd, WatchError};
use crate::hub::Tail;
use crate::record::StoreEvent;
use crate::store::Shared;

/// Events that a watcher takes at a time. Small, because they stay in memory
/// until a slow watcher has handed them out; large enough that a busy one
/// rarely touches what it shares with others.
const TAKE: usize = 64;

/// The events under one prefix, in revision order, none skipped.
///
/// It first reads the past from the published state up to `joined`, then what
/// its topic receives.
#[derive(Debug)]
pub struct StoreWatch {
    shared: Arc<Shared>,
    prefix: Arc<str>,
    tail: watch::Receiver<Tail>,
    /// Every event up to this revision is taken or handed out.
    cursor: u64,
    /// From here on the topic has all events.
    joined: u64,
    taken: VecDeque<Arc<StoreEvent>>,
}

impl StoreWatch {
    pub(crate) fn new(shared: Arc<Shared>, prefix: &str, after: u64) -> Result<Self, WatchError> {
        let prefix: Arc<str> = prefix.into();
        // First join, then look: what is published in between is in both, and
        // the cursor tells.
        let tail = shared.hub.join(&prefix).ok_or(WatchError::Closed)?;
        let state = shared.state.load_full();
        let watch = Self {
            shared,
            prefix,
            tail,
            cursor: after,
            joined: state.revision,
            taken: VecDeque::new(),
        };
        if after > state.revision {
            return Err(WatchError::Future {
                current: state.revision,
            });
        }
        if after < state.past.compacted() {
            return Err(WatchError::Compacted {
                oldest: state.past.compacted(),
            });
        }
        Ok(watch)
    }

    /// The next event under the prefix. Safe to cancel: no event is lost.
    ///
    /// # Errors
    /// [`WatchEnd::Lagged`] when the next event is not kept any more,
    /// [`WatchEnd::Closed`] when the store closed and all events were given.
    pub async fn next(&mut self) -> Result<Arc<StoreEvent>, WatchEnd> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return Ok(event);
            }
            if self.cursor < self.joined {
                self.take_past()?;
            } else if !self.take_tail()? {
                self.tail.changed().await.map_err(|_| WatchEnd::Closed)?;
            }
        }
    }

    /// Every event under the prefix up to this revision has been handed out,
    /// whether or not there was one: it moves with the writes of others too.
    pub fn progress(&self) -> u64 {
        if let Some(next) = self.taken.front() {
            return next.revision.saturating_sub(1);
        }
        if self.cursor < self.joined {
            return self.cursor;
        }
        // In this order: what settled before is in the tail by now.
        let settled = self.shared.hub.settled();
        let tail = self.tail.borrow();
        if tail.evicted() > self.cursor {
            return self.cursor;
        }
        match tail.after(self.cursor).next() {
            Some(next) => next.revision.saturating_sub(1),
            None => settled.max(self.cursor),
        }
    }

    fn take_past(&mut self) -> Result<(), WatchEnd> {
        let state = self.shared.state.load();
        if state.past.compacted() > self.cursor {
            return Err(WatchEnd::Lagged);
        }
        for event in state.past.after(self.cursor) {
            if event.revision > self.joined {
                break;
            }
            self.cursor = event.revision;
            if event.key.starts_with(&*self.prefix) {
                self.taken.push_back(Arc::clone(event));
                if self.taken.len() == TAKE {
                    return Ok(());
                }
            }
        }
        self.cursor = self.joined;
        Ok(())
    }

    fn take_tail(&mut self) -> Result<bool, WatchEnd> {
        // In this order: what settled before is in the tail by now.
        let settled = self.shared.hub.settled();
        let tail = self.tail.borrow_and_update();
        if tail.evicted() > self.cursor {
            return Err(WatchEnd::Lagged);
        }
        self.taken
            .extend(tail.after(self.cursor).take(TAKE).cloned());
        self.cursor = match self.taken.back() {
            Some(newest) => newest.revision,
            None => settled.max(self.cursor),
        };
        Ok(!self.taken.is_empty())
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.shared.hub.leave(&self.prefix);
    }
}
