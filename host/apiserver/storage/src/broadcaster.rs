use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::record::StoreEvent;

/// Hands each event to the prefixes that somebody watches, and wakes nobody else.
///
/// An event is stored once per watched prefix, not per watcher, and a watcher
/// reads from there at its own pace: the writer's work does not depend on how
/// many watchers there are or how slow they are.
#[derive(Debug)]
pub(crate) struct EventBroadcaster {
    /// Held to add or remove a topic and to hand out a batch, never while
    /// somebody reads events. None once closed.
    topics: Mutex<Option<Topics>>,
    /// Every event up to this revision has reached its topics.
    settled: AtomicU64,
}

type Topics = BTreeMap<Arc<str>, Topic>;

#[derive(Debug)]
struct Topic {
    watchers: usize,
    window: watch::Sender<WatchWindow>,
}

/// The kept events under one prefix since somebody began to watch it.
#[derive(Debug, Default)]
pub(crate) struct WatchWindow {
    events: VecDeque<Arc<StoreEvent>>,
    evicted: u64,
    /// Whether the current batch brought something; the writer's own mark.
    is_changed: bool,
}

impl WatchWindow {
    /// The newest event under the prefix that is gone; 0 for none.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The events newer than `revision`, oldest first.
    pub(crate) fn after(&self, revision: u64) -> impl Iterator<Item = &Arc<StoreEvent>> {
        let start = self
            .events
            .partition_point(|event| event.revision <= revision);
        self.events.range(start..)
    }

    fn evict(&mut self, revision: u64) {
        self.evicted = revision;
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
            settled: AtomicU64::new(revision),
        }
    }

    /// Every event up to this revision can be read from its topics.
    pub(crate) fn published_revision(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Counts one watcher more under `prefix`; none when the store is closed.
    pub(crate) fn subscribe(&self, prefix: &Arc<str>) -> Option<watch::Receiver<WatchWindow>> {
        let mut topics = self.lock();
        let topic = topics
            .as_mut()?
            .entry(Arc::clone(prefix))
            .or_insert_with(|| Topic {
                watchers: 0,
                window: watch::Sender::default(),
            });
        topic.watchers += 1;
        Some(topic.window.subscribe())
    }

    /// Counts one watcher less under `prefix`; the last one takes the topic along.
    pub(crate) fn unsubscribe(&self, prefix: &str) {
        let mut topics = self.lock();
        let Some(topics) = topics.as_mut() else {
            return;
        };
        if let Some(topic) = topics.get_mut(prefix) {
            topic.watchers -= 1;
            if topic.watchers == 0 {
                topics.remove(prefix);
            }
        }
    }

    /// Hands out what a batch brought and removed. The state that holds it
    /// must be visible already: a watcher that joins now reads it from there.
    pub(crate) fn publish(
        &self,
        events: &[Arc<StoreEvent>],
        evicted: &[Arc<StoreEvent>],
        revision: u64,
    ) {
        let topics = self.lock();
        if let Some(topics) = topics.as_ref().filter(|topics| !topics.is_empty()) {
            let mut touched = Vec::new();
            for event in events {
                for_each_prefix(topics, &event.key, |topic| {
                    let mut first = false;
                    topic.window.send_if_modified(|tail| {
                        first = !std::mem::replace(&mut tail.is_changed, true);
                        tail.events.push_back(Arc::clone(event));
                        false
                    });
                    if first {
                        touched.push(topic);
                    }
                });
            }
            for event in evicted {
                for_each_prefix(topics, &event.key, |topic| {
                    topic.window.send_if_modified(|tail| {
                        tail.evict(event.revision);
                        false
                    });
                });
            }
            for topic in touched {
                topic.window.send_modify(|tail| tail.is_changed = false);
            }
        }
        self.settled.store(revision, Ordering::Release);
    }

    /// Ends every watch after the events it still has to take.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Topics>> {
        // Nothing that runs under the lock leaves the map half changed.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `visit` for each watched prefix of `key`, longest first, in as many
/// look-ups as there are such prefixes and forks between them.
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
            // What lies between a prefix of `rest` and `rest` starts with that
            // prefix, so every further one is a prefix of the shared part.
            rest = shared;
        }
    }
}

/// The longest start that both have.
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
    fn a_topic_lives_as_long_as_its_watchers() {
        let hub = EventBroadcaster::new(1);
        let prefix: Arc<str> = "a/".into();
        let topics = || hub.lock().as_ref().map(BTreeMap::len);
        let _first = hub.subscribe(&prefix).unwrap();
        let _second = hub.subscribe(&prefix).unwrap();
        hub.unsubscribe(&prefix);
        assert_eq!(topics(), Some(1));
        hub.unsubscribe(&prefix);
        assert_eq!(topics(), Some(0));
        hub.close();
        assert!(hub.subscribe(&prefix).is_none());
    }

    proptest::proptest! {
        #[test]
        fn finds_exactly_the_prefixes_of_a_key(
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
