use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::broadcaster::WatchWindow;
use crate::error::{WatchEndReason, WatchError};
use crate::record::StoreEvent;
use crate::store::SharedState;

/// Events that a watcher takes at a time. Small, because they stay in memory
/// until a slow watcher has handed them out; large enough that a busy one
/// rarely touches what it shares with others.
const MAX_PENDING: usize = 64;

/// The events under one prefix, in revision order, none skipped.
///
/// It first reads the past from the published state up to `joined`, then what
/// its topic receives.
#[derive(Debug)]
pub struct StoreWatch {
    shared: Arc<SharedState>,
    prefix: Arc<str>,
    window: watch::Receiver<WatchWindow>,
    /// Every event up to this revision is taken or handed out.
    cursor: u64,
    /// From here on the topic has all events.
    subscribed_at: u64,
    pending: VecDeque<Arc<StoreEvent>>,
}

impl StoreWatch {
    pub(crate) fn new(
        shared: Arc<SharedState>,
        prefix: &str,
        after: u64,
    ) -> Result<Self, WatchError> {
        let prefix: Arc<str> = prefix.into();
        // First join, then look: what is published in between is in both, and
        // the cursor tells.
        let tail = shared.hub.subscribe(&prefix).ok_or(WatchError::Closed)?;
        let state = shared.state.load_full();
        let watch = Self {
            shared,
            prefix,
            window: tail,
            cursor: after,
            subscribed_at: state.revision,
            pending: VecDeque::new(),
        };
        if after > state.revision {
            return Err(WatchError::Future {
                current: state.revision,
            });
        }
        if after < state.event_log.compacted() {
            return Err(WatchError::Compacted {
                oldest: state.event_log.compacted(),
            });
        }
        Ok(watch)
    }

    /// The next event under the prefix. Safe to cancel: no event is lost.
    ///
    /// # Errors
    /// [`WatchEnd::Lagged`] when the next event is not kept any more,
    /// [`WatchEnd::Closed`] when the store closed and all events were given.
    pub async fn next(&mut self) -> Result<Arc<StoreEvent>, WatchEndReason> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            if self.cursor < self.subscribed_at {
                self.read_log()?;
            } else if !self.read_window()? {
                self.window
                    .changed()
                    .await
                    .map_err(|_| WatchEndReason::Closed)?;
            }
        }
    }

    /// Every event under the prefix up to this revision has been handed out,
    /// whether or not there was one: it moves with the writes of others too.
    pub fn progress(&self) -> u64 {
        if let Some(next) = self.pending.front() {
            return next.revision.saturating_sub(1);
        }
        if self.cursor < self.subscribed_at {
            return self.cursor;
        }
        // In this order: what settled before is in the tail by now.
        let settled = self.shared.hub.published_revision();
        let tail = self.window.borrow();
        if tail.evicted() > self.cursor {
            return self.cursor;
        }
        match tail.after(self.cursor).next() {
            Some(next) => next.revision.saturating_sub(1),
            None => settled.max(self.cursor),
        }
    }

    fn read_log(&mut self) -> Result<(), WatchEndReason> {
        let state = self.shared.state.load();
        if state.event_log.compacted() > self.cursor {
            return Err(WatchEndReason::Lagged);
        }
        for event in state.event_log.after(self.cursor) {
            if event.revision > self.subscribed_at {
                break;
            }
            self.cursor = event.revision;
            if event.key.starts_with(&*self.prefix) {
                self.pending.push_back(Arc::clone(event));
                if self.pending.len() == MAX_PENDING {
                    return Ok(());
                }
            }
        }
        self.cursor = self.subscribed_at;
        Ok(())
    }

    fn read_window(&mut self) -> Result<bool, WatchEndReason> {
        // In this order: what settled before is in the tail by now.
        let settled = self.shared.hub.published_revision();
        let tail = self.window.borrow_and_update();
        if tail.evicted() > self.cursor {
            return Err(WatchEndReason::Lagged);
        }
        self.pending
            .extend(tail.after(self.cursor).take(MAX_PENDING).cloned());
        self.cursor = match self.pending.back() {
            Some(newest) => newest.revision,
            None => settled.max(self.cursor),
        };
        Ok(!self.pending.is_empty())
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.shared.hub.unsubscribe(&self.prefix);
    }
}
