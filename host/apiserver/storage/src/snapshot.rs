//! The state that readers share, and snapshots of it.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::error::SnapshotError;
use crate::event_log::EventLog;
use crate::record::StoredRecord;

/// The live records by key, in byte order.
pub(crate) type RecordIndex = OrdMap<Arc<str>, Arc<StoredRecord>>;

/// All that a commit makes visible, in one value.
#[derive(Debug)]
pub(crate) struct StoreState {
    pub(crate) records: RecordIndex,
    pub(crate) revision: u64,
    pub(crate) event_log: EventLog,
}

impl StoreState {
    pub(crate) fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot {
            records: self.records.clone(),
            revision: self.revision,
        }
    }

    /// Returns the state at `revision` by undoing the later events. That costs
    /// time in the rare read of an old revision; keeping old snapshots would
    /// cost memory in each write.
    pub(crate) fn snapshot_at(&self, revision: u64) -> Result<StoreSnapshot, SnapshotError> {
        if revision > self.revision {
            return Err(SnapshotError::Future {
                current: self.revision,
            });
        }
        if revision < self.event_log.compacted_revision() {
            return Err(SnapshotError::Compacted {
                oldest: self.event_log.compacted_revision(),
            });
        }
        let mut records = self.records.clone();
        let mut undone = HashSet::new();
        for event in self.event_log.events_after(revision) {
            // The oldest event of a key holds the record from before it.
            if !undone.insert(&event.key) {
                continue;
            }
            match &event.previous {
                Some(record) => records.insert(Arc::clone(&record.key), Arc::clone(record)),
                None => records.remove(&event.key),
            };
        }
        Ok(StoreSnapshot { records, revision })
    }
}

/// All records at one revision. Cheap to clone; later writes do not change it.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {
    records: RecordIndex,
    revision: u64,
}

impl StoreSnapshot {
    /// Returns the revision of this state.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the record of `key`.
    pub fn get(&self, key: &str) -> Option<&Arc<StoredRecord>> {
        self.records.get(key)
    }

    /// Returns the records whose keys start with `prefix` and are greater than
    /// `after`, in byte order of their keys.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<StoredRecord>> + 'a {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.records
            .range::<_, str>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, record)| record)
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
