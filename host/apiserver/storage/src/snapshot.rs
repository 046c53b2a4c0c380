use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use crate::error::SnapshotError;
use crate::event_log::EventLog;
use crate::record::StoredRecord;

/// The live records by key, in byte order.
pub(crate) type RecordIndex = OrdMap<Arc<str>, Arc<StoredRecord>>;

/// Everything that one commit makes visible, in one piece.
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

    /// Takes the events after `revision` back. Undoing costs time in the rare
    /// read of the past; keeping old snapshots would cost memory in each write.
    pub(crate) fn snapshot_at(&self, revision: u64) -> Result<StoreSnapshot, SnapshotError> {
        if revision > self.revision {
            return Err(SnapshotError::Future {
                current: self.revision,
            });
        }
        if revision < self.event_log.compacted() {
            return Err(SnapshotError::Compacted {
                oldest: self.event_log.compacted(),
            });
        }
        let mut records = self.records.clone();
        let mut undone = HashSet::new();
        for event in self.event_log.after(revision) {
            // The oldest event of a key knows what stood there before.
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

/// All records as they stood at one revision. Cheap to clone; later writes
/// do not change it.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {
    records: RecordIndex,
    revision: u64,
}

impl StoreSnapshot {
    /// The revision whose state this is.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The record under `key`.
    pub fn get(&self, key: &str) -> Option<&Arc<StoredRecord>> {
        self.records.get(key)
    }

    /// The records whose keys start with `prefix` and come after `after`,
    /// in byte order of their keys.
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

    /// The number of all records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
