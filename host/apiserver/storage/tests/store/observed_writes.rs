//! The writes that clients saw, and what a store must return for them later.

use std::collections::{BTreeMap, HashMap, HashSet};

use rdd_apiserver_storage::{EventKind, Store};

use crate::common::{next, text};

/// All writes that were acknowledged or read.
///
/// Values end with `@` and the revision of their write, those of deletions begin with
/// `gone`, and no two writes have the same value.
#[derive(Default)]
pub(crate) struct ObservedWrites {
    /// The value of each acknowledged or read revision.
    values: HashMap<u64, String>,
    /// The newest of these revisions of each key.
    newest: BTreeMap<String, u64>,
}

impl ObservedWrites {
    fn record(&mut self, revision: u64, value: &str) {
        assert!(
            value.ends_with(&format!("@{revision}")),
            "revision {revision} has the value of another one: {value}"
        );
        let earlier = self.values.insert(revision, value.to_owned());
        assert!(
            earlier.as_deref().is_none_or(|earlier| earlier == value),
            "revision {revision} was used twice: {earlier:?}, {value}"
        );
    }

    /// Records a write that was acknowledged or read.
    pub(crate) fn acknowledge(&mut self, key: &str, revision: u64, value: &str) {
        self.record(revision, value);
        let newest = self.newest.entry(key.to_owned()).or_default();
        *newest = revision.max(*newest);
    }

    pub(crate) fn contains(&self, revision: u64) -> bool {
        self.values.contains_key(&revision)
    }

    /// Returns the newest revision that was acknowledged or read, or 0.
    pub(crate) fn newest_revision(&self) -> u64 {
        self.values.keys().copied().max().unwrap_or(0)
    }

    /// Checks a store that was opened after an interruption. Returns the revisions that
    /// were not observed before, with their values.
    pub(crate) async fn check(&mut self, store: &Store) -> BTreeMap<u64, String> {
        let snapshot = store.snapshot();
        let compacted = store.compacted_revision();
        let mut records: BTreeMap<String, u64> = store
            .snapshot_at(compacted)
            .unwrap()
            .range("", None)
            .map(|record| (record.key.to_string(), record.revision))
            .collect();
        let mut watch = store.watch("", compacted).unwrap();
        let mut found = HashSet::new();
        let mut deleted = HashMap::new();
        let mut new = BTreeMap::new();
        let mut last = compacted;
        while watch.progress() < store.revision() {
            let event = next(&mut watch).await;
            assert!(event.revision > last, "revisions grow");
            last = event.revision;
            if !self.contains(event.revision) {
                new.insert(event.revision, text(&event.value).to_owned());
            }
            self.acknowledge(&event.key, event.revision, text(&event.value));
            found.insert(event.revision);
            let replaced = event.previous.as_ref().map(|record| record.revision);
            let before = if event.kind == EventKind::Deleted {
                deleted.insert(event.key.to_string(), event.revision);
                records.remove(&*event.key)
            } else {
                records.insert(event.key.to_string(), event.revision)
            };
            assert_eq!(before, replaced, "the event log agrees with itself");
        }
        for record in snapshot.range("", None) {
            if !self.contains(record.revision) {
                new.insert(record.revision, text(&record.value).to_owned());
            }
            self.acknowledge(&record.key, record.revision, text(&record.value));
            let logged = records.remove(&*record.key);
            assert_eq!(
                logged,
                Some(record.revision),
                "{} is in the log",
                record.key
            );
        }
        assert!(records.is_empty(), "{records:?} are in the log only");
        for &revision in self.values.keys() {
            assert!(revision <= store.revision(), "{revision} is lost");
            let kept = revision <= compacted || found.contains(&revision);
            assert!(kept, "{revision} is not in the history");
        }
        for (key, &revision) in &self.newest {
            let live = snapshot.get(key).map_or(0, |record| record.revision);
            let gone = deleted.get(key).copied().unwrap_or(0);
            let is_compacted_deletion = self.values[&revision].starts_with("gone") && live == 0;
            assert!(
                live.max(gone) >= revision || is_compacted_deletion,
                "{key} at {revision} is lost"
            );
        }
        new
    }
}
