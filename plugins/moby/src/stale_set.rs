//! The queue of objects that must be read again. Changes of one object are
//! combined, so the cost of a burst depends on its objects, not on its events.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::event::ChangeEvent;

/// The number of stale objects from which on a new listing takes less time.
const MAX_STALE_ENTRIES: usize = 20_000;

/// An object, or a list of objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StaleKey {
    Container(String),
    Volume(String),
    Containers,
    Images,
    Volumes,
    /// The containers that are `dead` or `removing`.
    HalfRemoved,
}

/// An object that must be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaleEntry {
    pub(crate) key: StaleKey,
    /// Whether it was removed after it was last read.
    pub(crate) was_removed: bool,
}

/// The stale objects, in the order of their first change.
#[derive(Debug, Default)]
pub(crate) struct StaleSet {
    queue: VecDeque<StaleKey>,
    /// For each key in `queue`, whether the object was removed.
    was_removed: HashMap<StaleKey, bool>,
    /// Whether any object may be stale.
    everything: bool,
    waker: Option<Waker>,
}

impl StaleSet {
    /// Inserts the object of a change.
    pub(crate) fn record_change(&mut self, change: ChangeEvent) {
        let (key, was_removed) = match change {
            ChangeEvent::Container(id) => (StaleKey::Container(id), false),
            ChangeEvent::ContainerRemoved(id) => (StaleKey::Container(id), true),
            ChangeEvent::Volume(name) => (StaleKey::Volume(name), false),
            ChangeEvent::VolumeRemoved(name) => (StaleKey::Volume(name), true),
            ChangeEvent::Containers => (StaleKey::Containers, false),
            ChangeEvent::Images => (StaleKey::Images, false),
            ChangeEvent::Volumes => (StaleKey::Volumes, false),
            ChangeEvent::Anything => return self.mark_everything(),
        };
        self.insert(key, was_removed);
    }

    /// Inserts a key, unless it is in the set.
    pub(crate) fn insert(&mut self, key: StaleKey, was_removed: bool) {
        if self.queue.len() >= MAX_STALE_ENTRIES {
            return self.mark_everything();
        }
        match self.was_removed.entry(key) {
            Entry::Occupied(mut entry) => *entry.get_mut() |= was_removed,
            Entry::Vacant(entry) => {
                self.queue.push_back(entry.key().clone());
                entry.insert(was_removed);
            }
        }
        self.wake();
    }

    /// Requests a new listing.
    pub(crate) fn mark_everything(&mut self) {
        self.clear();
        self.everything = true;
        self.wake();
    }

    /// Returns whether a new listing is needed.
    pub(crate) fn needs_listing(&self) -> bool {
        self.everything
    }

    /// Removes all keys at the beginning of a listing, which reads their
    /// objects.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.was_removed.clear();
        self.everything = false;
    }

    /// Takes the oldest key that is not in `in_progress`.
    pub(crate) fn take_next(&mut self, in_progress: &HashSet<StaleKey>) -> Option<StaleEntry> {
        let position = self
            .queue
            .iter()
            .position(|key| !in_progress.contains(key))?;
        let key = self.queue.remove(position)?;
        let was_removed = self.was_removed.remove(&key).unwrap_or_default();
        Some(StaleEntry { key, was_removed })
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_due(&mut self, in_progress: &HashSet<StaleKey>, cx: &mut Context<'_>) -> Poll<()> {
        if self.everything || self.queue.iter().any(|key| !in_progress.contains(key)) {
            return Poll::Ready(());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Waits until a key can be taken or a new listing is needed.
pub(crate) async fn wait_until_due(stale: &RefCell<StaleSet>, in_progress: &HashSet<StaleKey>) {
    poll_fn(|cx| stale.borrow_mut().poll_due(in_progress, cx)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str) -> StaleKey {
        StaleKey::Container(id.into())
    }

    #[test]
    fn changes_of_one_object_are_combined() {
        let mut stale = StaleSet::default();
        for _ in 0..3 {
            stale.record_change(ChangeEvent::Container("a".into()));
            stale.record_change(ChangeEvent::Container("b".into()));
        }
        stale.record_change(ChangeEvent::ContainerRemoved("a".into()));
        let in_progress = HashSet::new();
        assert_eq!(
            stale.take_next(&in_progress),
            Some(StaleEntry {
                key: container("a"),
                was_removed: true
            })
        );
        assert_eq!(
            stale.take_next(&in_progress),
            Some(StaleEntry {
                key: container("b"),
                was_removed: false
            })
        );
        assert_eq!(stale.take_next(&in_progress), None);
    }

    #[test]
    fn an_object_that_is_being_read_is_not_taken() {
        let mut stale = StaleSet::default();
        stale.record_change(ChangeEvent::Container("a".into()));
        let in_progress = HashSet::from([container("a")]);
        assert_eq!(stale.take_next(&in_progress), None);
        assert!(stale.take_next(&HashSet::new()).is_some());
    }

    #[test]
    fn too_many_stale_objects_need_a_listing() {
        let mut stale = StaleSet::default();
        for n in 0..=MAX_STALE_ENTRIES {
            stale.record_change(ChangeEvent::Container(n.to_string()));
        }
        assert!(stale.needs_listing());
        assert!(stale.queue.is_empty() && stale.was_removed.is_empty());
        stale.clear();
        assert!(!stale.needs_listing());
    }
}
