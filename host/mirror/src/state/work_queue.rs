//! The work queue: keys of mirrors that have to be reconciled.

use std::collections::{HashSet, VecDeque};

use crate::key::MirrorKey;

/// A FIFO queue that holds each key at most once.
#[derive(Default)]
pub(super) struct WorkQueue {
    order: VecDeque<MirrorKey>,
    keys: HashSet<MirrorKey>,
}

impl WorkQueue {
    /// Adds a key unless it is already queued.
    pub(super) fn add(&mut self, key: MirrorKey) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key);
        }
    }

    /// Removes and returns the next key.
    pub(super) fn pop(&mut self) -> Option<MirrorKey> {
        let key = self.order.pop_front()?;
        self.keys.remove(&key);
        Some(key)
    }

    /// The queued keys.
    pub(super) fn keys(&self) -> &HashSet<MirrorKey> {
        &self.keys
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
