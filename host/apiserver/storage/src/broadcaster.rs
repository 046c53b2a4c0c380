//! Delivery of committed events to the watches.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::record::StoreEvent;

/// A broadcaster that delivers each event to the watched prefixes of its key
/// and wakes only the watchers of these prefixes.
///
/// An event is queued once per watched prefix, not once per watcher, and each
/// watcher reads the queue at its own pace: the writer's work depends neither
/// on the number of watchers nor on how slow they are.
#[derive(Debug)]
pub(crate) struct EventBroadcaster {
    /// Locked to add or remove a topic and to publish a batch, never while a
    /// watcher reads events. `None` once closed.
    topics: Mutex<Option<Topics>>,
    /// All events up to this revision have been delivered to their topics.
    published_revision: AtomicU64,
}

type Topics = BTreeMap<Arc<str>, Topic>;

/// A watched prefix.
#[derive(Debug)]
struct Topic {
    watchers: usize,
    /// How far each watcher has read.
    positions: Vec<Arc<AtomicU64>>,
    window: watch::Sender<WatchWindow>,
}

/// The kept events under one prefix since its first watcher subscribed.
#[derive(Debug, Default)]
pub(crate) struct WatchWindow {
    events: VecDeque<Arc<StoreEvent>>,
    evicted_revision: u64,
    /// Whether the current batch has added events. Used by the writer only.
    is_changed: bool,
}

impl WatchWindow {
    /// Returns the revision of the newest evicted event under the prefix, or 0
    /// if no event was evicted.
    pub(crate) fn evicted_revision(&self) -> u64 {
        self.evicted_revision
    }

    /// Returns the events newer than `revision`, oldest first.
    pub(crate) fn events_after(&self, revision: u64) -> impl Iterator<Item = &Arc<StoreEvent>> {
        let start = self
            .events
            .partition_point(|event| event.revision <= revision);
        self.events.range(start..)
    }

    /// Returns the number of events newer than `revision`.
    fn count_after(&self, revision: u64) -> usize {
        let start = self
            .events
            .partition_point(|event| event.revision <= revision);
        self.events.len().saturating_sub(start)
    }

    fn evict(&mut self, revision: u64) {
        self.evicted_revision = revision;
        while self
            .events
            .front()
            .is_some_and(|event| event.revision <= revision)
        {
            self.events.pop_front();
        }
    }
}

impl EventBroadcaster {
    pub(crate) fn new(revision: u64) -> Self {
        Self {
            topics: Mutex::new(Some(BTreeMap::new())),
            published_revision: AtomicU64::new(revision),
        }
    }

    /// Returns the revision up to which all events can be read from their
    /// topics.
    pub(crate) fn published_revision(&self) -> u64 {
        self.published_revision.load(Ordering::Acquire)
    }

    /// Adds a watcher of `prefix` that has read everything up to the revision in
    /// `position`. Returns `None` if the store is closed.
    pub(crate) fn subscribe(
        &self,
        prefix: &Arc<str>,
        position: &Arc<AtomicU64>,
    ) -> Option<watch::Receiver<WatchWindow>> {
        let mut topics = self.lock();
        let topic = topics
            .as_mut()?
            .entry(Arc::clone(prefix))
            .or_insert_with(|| Topic {
                watchers: 0,
                positions: Vec::new(),
                window: watch::Sender::default(),
            });
        topic.watchers += 1;
        topic.positions.push(Arc::clone(position));
        Some(topic.window.subscribe())
    }

    /// Removes the watcher of `prefix` with this position, and with the last one the
    /// topic.
    pub(crate) fn unsubscribe(&self, prefix: &str, position: &Arc<AtomicU64>) {
        let mut topics = self.lock();
        let Some(topics) = topics.as_mut() else {
            return;
        };
        if let Some(topic) = topics.get_mut(prefix) {
            topic.watchers -= 1;
            topic
                .positions
                .retain(|other| !Arc::ptr_eq(other, position));
            if topic.watchers == 0 {
                topics.remove(prefix);
            }
        }
    }

    /// Delivers the events that a batch added, and evicts those that it
    /// evicted. The new state must be visible already: a watcher that
    /// subscribes now reads these events from there.
    pub(crate) fn publish(
        &self,
        events: &[Arc<StoreEvent>],
        evicted: &[Arc<StoreEvent>],
        revision: u64,
    ) {
        let topics = self.lock();
        if let Some(topics) = topics.as_ref().filter(|topics| !topics.is_empty()) {
            let mut changed = Vec::new();
            for event in events {
                for_each_prefix(topics, &event.key, |topic| {
                    let mut is_first = false;
                    topic.window.send_if_modified(|window| {
                        is_first = !std::mem::replace(&mut window.is_changed, true);
                        window.events.push_back(Arc::clone(event));
                        false
                    });
                    if is_first {
                        changed.push(topic);
                    }
                });
            }
            for event in evicted {
                for_each_prefix(topics, &event.key, |topic| {
                    topic.window.send_if_modified(|window| {
                        window.evict(event.revision);
                        false
                    });
                });
            }
            for topic in changed {
                topic.window.send_modify(|window| window.is_changed = false);
            }
        }
        self.published_revision.store(revision, Ordering::Release);
    }

    /// Returns the number of watchers.
    pub(crate) fn watcher_count(&self) -> usize {
        let topics = self.lock();
        topics
            .iter()
            .flat_map(BTreeMap::values)
            .map(|topic| topic.watchers)
            .sum()
    }

    /// Returns how many events of its prefix the slowest watcher has not read.
    pub(crate) fn events_behind(&self) -> usize {
        let topics = self.lock();
        topics
            .iter()
            .flat_map(BTreeMap::values)
            .filter_map(|topic| {
                let positions = topic.positions.iter();
                let slowest = positions.map(|it| it.load(Ordering::Relaxed)).min()?;
                Some(topic.window.borrow().count_after(slowest))
            })
            .max()
            .unwrap_or(0)
    }

    /// Ends each watch after the events that it has not read yet.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Topics>> {
        // Nothing that runs under the lock leaves the map in between states.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `visit` for each watched prefix of `key`, longest first. Takes one
/// lookup for each such prefix and for each fork between them.
fn for_each_prefix<'a>(topics: &'a Topics, key: &str, mut visit: impl FnMut(&'a Topic)) {
    let mut rest = key;
    loop {
        let below = (Bound::Unbounded, Bound::Included(rest));
        let Some((prefix, topic)) = topics.range::<str, _>(below).next_back() else {
            return;
        };
        let shared = common_prefix(rest, prefix);
        if shared.len() == prefix.len() {
            visit(topic);
            let mut shorter = shared.chars();
            if shorter.next_back().is_none() {
                return;
            }
            rest = shorter.as_str();
        } else {
            // All keys between a prefix of `rest` and `rest` start with that
            // prefix, so each further prefix is a prefix of the shared part.
            rest = shared;
        }
    }
}

/// Returns the longest common prefix of both texts.
fn common_prefix<'a>(left: &'a str, right: &str) -> &'a str {
    let length = left
        .chars()
        .zip(right.chars())
        .take_while(|(left, right)| left == right)
        .map(|(shared, _)| shared.len_utf8())
        .sum();
    left.get(..length).unwrap_or(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(prefixes: &[&str], key: &str) -> Vec<usize> {
        let mut topics = Topics::new();
        for (index, prefix) in prefixes.iter().enumerate() {
            let topic = Topic {
                watchers: index,
                positions: Vec::new(),
                window: watch::Sender::default(),
            };
            topics.insert((*prefix).into(), topic);
        }
        let mut found = Vec::new();
        for_each_prefix(&topics, key, |topic| found.push(topic.watchers));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_topic_exists_as_long_as_its_watchers() {
        let broadcaster = EventBroadcaster::new(1);
        let prefix: Arc<str> = "a/".into();
        let topics = || broadcaster.lock().as_ref().map(BTreeMap::len);
        let (first, second): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let _first = broadcaster.subscribe(&prefix, &first).unwrap();
        let _second = broadcaster.subscribe(&prefix, &second).unwrap();
        assert_eq!(broadcaster.watcher_count(), 2);
        broadcaster.unsubscribe(&prefix, &first);
        assert_eq!(topics(), Some(1));
        broadcaster.unsubscribe(&prefix, &second);
        assert_eq!(topics(), Some(0));
        assert_eq!(broadcaster.watcher_count(), 0);
        broadcaster.close();
        assert!(broadcaster.subscribe(&prefix, &first).is_none());
    }

    proptest::proptest! {
        #[test]
        fn exactly_the_prefixes_of_a_key_are_visited(
            prefixes in proptest::collection::hash_set("[abé/]{0,5}", 0..40),
            key in "[abé/]{0,7}",
        ) {
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let expected: Vec<usize> = (0..prefixes.len())
                .filter(|&index| key.starts_with(prefixes[index]))
                .collect();
            proptest::prop_assert_eq!(matching(&prefixes, &key), expected);
        }
    }
}
