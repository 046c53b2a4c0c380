//! What has to be read again. Changes of one object that come together are
//! one entry, so a burst costs no more than the objects it touches.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use crate::event::Change;

/// More stale objects than this, and listing everything is cheaper.
const MAX_STALE: usize = 20_000;

/// An object, or all of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Container(String),
    Volume(String),
    Containers,
    Images,
    Volumes,
    /// The containers that are `dead` or being removed.
    HalfRemoved,
}

/// A stale object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: Key,
    /// It was removed since it was last read.
    pub(super) gone: bool,
}

/// All stale objects, in the order in which they became so.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    queue: VecDeque<Key>,
    gone: HashMap<Key, bool>,
    /// Anything may be stale.
    everything: bool,
    waker: Option<Waker>,
}

impl Stale {
    /// Notes a change.
    pub(crate) fn note(&mut self, change: Change) {
        let (key, gone) = match change {
            Change::Container(id) => (Key::Container(id), false),
            Change::ContainerGone(id) => (Key::Container(id), true),
            Change::Volume(name) => (Key::Volume(name), false),
            Change::VolumeGone(name) => (Key::Volume(name), true),
            Change::Containers => (Key::Containers, false),
            Change::Images => (Key::Images, false),
            Change::Volumes => (Key::Volumes, false),
            Change::Anything => return self.note_everything(),
        };
        self.insert(key, gone);
    }

    /// Notes that a key has to be read (again).
    pub(super) fn insert(&mut self, key: Key, gone: bool) {
        if self.queue.len() >= MAX_STALE {
            return self.note_everything();
        }
        match self.gone.entry(key) {
            Entry::Occupied(mut entry) => *entry.get_mut() |= gone,
            Entry::Vacant(entry) => {
                self.queue.push_back(entry.key().clone());
                entry.insert(gone);
            }
        }
        self.wake();
    }

    /// Notes that anything may be stale.
    pub(super) fn note_everything(&mut self) {
        self.clear();
        self.everything = true;
        self.wake();
    }

    /// Whether a whole new listing is due.
    pub(super) fn is_everything(&self) -> bool {
        self.everything
    }

    /// Forgets all: a listing begins, which will see what was noted.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.gone.clear();
        self.everything = false;
    }

    /// Takes the oldest key that is not being read at this moment.
    pub(super) fn take(&mut self, busy: &HashSet<Key>) -> Option<Item> {
        let position = self.queue.iter().position(|key| !busy.contains(key))?;
        let key = self.queue.remove(position)?;
        let gone = self.gone.remove(&key).unwrap_or_default();
        Some(Item { key, gone })
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_due(&mut self, busy: &HashSet<Key>, cx: &mut Context<'_>) -> Poll<()> {
        if self.everything || self.queue.iter().any(|key| !busy.contains(key)) {
            return Poll::Ready(());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Waits until there is a key to take, or a listing to make.
pub(super) async fn due(stale: &std::cell::RefCell<Stale>, busy: &HashSet<Key>) {
    poll_fn(|cx| stale.borrow_mut().poll_due(busy, cx)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str) -> Key {
        Key::Container(id.into())
    }

    #[test]
    fn changes_of_one_object_are_one() {
        let mut stale = Stale::default();
        for _ in 0..3 {
            stale.note(Change::Container("a".into()));
            stale.note(Change::Container("b".into()));
        }
        stale.note(Change::ContainerGone("a".into()));
        let busy = HashSet::new();
        assert_eq!(
            stale.take(&busy),
            Some(Item {
                key: container("a"),
                gone: true
            })
        );
        assert_eq!(
            stale.take(&busy),
            Some(Item {
                key: container("b"),
                gone: false
            })
        );
        assert_eq!(stale.take(&busy), None);
    }

    #[test]
    fn what_is_being_read_waits() {
        let mut stale = Stale::default();
        stale.note(Change::Container("a".into()));
        let busy = HashSet::from([container("a")]);
        assert_eq!(stale.take(&busy), None);
        assert!(stale.take(&HashSet::new()).is_some());
    }

    #[test]
    fn too_much_is_everything() {
        let mut stale = Stale::default();
        for n in 0..=MAX_STALE {
            stale.note(Change::Container(n.to_string()));
        }
        assert!(stale.is_everything());
        assert!(stale.queue.is_empty() && stale.gone.is_empty());
        stale.clear();
        assert!(!stale.is_everything());
    }
}
