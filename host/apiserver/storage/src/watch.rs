//! One watch: history first, then live events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::broadcaster::WatchWindow;
use crate::error::{WatchEndReason, WatchError};
use crate::record::StoreEvent;
use crate::shared_state::SharedState;

/// The number of events that a watch buffers at a time. Small, because they
/// stay in memory until a slow watcher has read them; large enough that a busy
/// watcher rarely locks what it shares with others.
const MAX_PENDING: usize = 64;

/// A watch on a prefix: its events in revision order, with none left out.
///
/// It first reads the history up to `subscribed_at` from the published state,
/// then the window of its topic.
#[derive(Debug)]
pub struct StoreWatch {
    shared: Arc<SharedState>,
    prefix: Arc<str>,
    window: watch::Receiver<WatchWindow>,
    /// All events up to this revision are in `pending` or were returned.
    cursor: u64,
    /// The topic has all events after this revision.
    subscribed_at: u64,
    pending: VecDeque<Arc<StoreEvent>>,
    /// The revision up to which events were returned, for the broadcaster.
    position: Arc<AtomicU64>,
}

impl StoreWatch {
    pub(crate) fn new(
        shared: Arc<SharedState>,
        prefix: &str,
        after: u64,
    ) -> Result<Self, WatchError> {
        let prefix: Arc<str> = prefix.into();
        // Subscribe first, then load the state: an event that is published in
        // between is in both, and the cursor skips the second copy.
        let position = Arc::new(AtomicU64::new(after));
        let window = shared
            .broadcaster
            .subscribe(&prefix, &position)
            .ok_or(WatchError::Closed)?;
        let state = shared.state.load_full();
        let watch = Self {
            shared,
            prefix,
            window,
            cursor: after,
            subscribed_at: state.revision,
            pending: VecDeque::new(),
            position,
        };
        if after > state.revision {
            return Err(WatchError::Future {
                current: state.revision,
            });
        }
        if after < state.event_log.compacted_revision() {
            return Err(WatchError::Compacted {
                oldest: state.event_log.compacted_revision(),
            });
        }
        Ok(watch)
    }

    /// Waits for the next event under the prefix. Cancel safe: no event is
    /// lost when the future is dropped.
    ///
    /// # Errors
    /// [`WatchEndReason::Lagged`] if the next event was compacted,
    /// [`WatchEndReason::Closed`] after the last event of a closed store.
    pub async fn next(&mut self) -> Result<Arc<StoreEvent>, WatchEndReason> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            self.changed().await;
        }
    }

    /// Returns the next event under the prefix if there is one already.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub fn try_next(&mut self) -> Result<Option<Arc<StoreEvent>>, WatchEndReason> {
        while self.pending.is_empty() {
            if self.cursor < self.subscribed_at {
                self.read_log()?;
                continue;
            }
            // Before the window is read: the last events of a closed store are in it.
            let is_closed = self.window.has_changed().is_err();
            if !self.read_window()? {
                return if is_closed {
                    Err(WatchEndReason::Closed)
                } else {
                    Ok(None)
                };
            }
        }
        let event = self.pending.pop_front();
        if let Some(event) = &event {
            self.position.store(event.revision, Ordering::Relaxed);
        }
        Ok(event)
    }

    /// Waits until [`Self::try_next`] may have a result after it had none. Cancel safe.
    pub async fn changed(&mut self) {
        // An error means that the store is closed, and that is what `try_next` returns.
        self.window.changed().await.ok();
    }

    /// Returns the revision up to which all events under the prefix have been
    /// returned. It also advances with writes outside the prefix.
    pub fn progress(&self) -> u64 {
        if let Some(next) = self.pending.front() {
            return next.revision.saturating_sub(1);
        }
        if self.cursor < self.subscribed_at {
            return self.cursor;
        }
        // In this order: all events up to this revision are in the window.
        let published = self.shared.broadcaster.published_revision();
        let window = self.window.borrow();
        if window.evicted_revision() > self.cursor {
            return self.cursor;
        }
        match window.events_after(self.cursor).next() {
            Some(next) => next.revision.saturating_sub(1),
            None => published.max(self.cursor),
        }
    }

    fn read_log(&mut self) -> Result<(), WatchEndReason> {
        let state = self.shared.state.load();
        if state.event_log.compacted_revision() > self.cursor {
            return Err(WatchEndReason::Lagged);
        }
        for event in state.event_log.events_after(self.cursor) {
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
        // In this order: all events up to this revision are in the window.
        let published = self.shared.broadcaster.published_revision();
        let window = self.window.borrow_and_update();
        if window.evicted_revision() > self.cursor {
            return Err(WatchEndReason::Lagged);
        }
        self.pending
            .extend(window.events_after(self.cursor).take(MAX_PENDING).cloned());
        self.cursor = match self.pending.back() {
            Some(newest) => newest.revision,
            None => published.max(self.cursor),
        };
        Ok(!self.pending.is_empty())
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.shared
            .broadcaster
            .unsubscribe(&self.prefix, &self.position);
    }
}
