//! One row of the `log` table.

use std::time::Duration;

use crc32fast::Hasher;

use crate::record::{EventKind, StoreEvent, StoredRecord};

/// One row of the `log` table.
pub(crate) struct LogRow<'a> {
    pub(crate) revision: u64,
    pub(crate) kind: i64,
    /// The time of the write, in milliseconds since 1970.
    pub(crate) at: i64,
    /// The revision of the row that this row supersedes; 0 for none.
    pub(crate) replaces: u64,
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
}

impl<'a> LogRow<'a> {
    pub(crate) fn from_event(event: &'a StoreEvent, now: Duration) -> Self {
        Self {
            revision: event.revision,
            kind: kind_code(event.kind),
            at: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            replaces: event.previous.as_ref().map_or(0, |record| record.revision),
            key: &event.key,
            value: &event.value,
        }
    }

    /// Returns the row of a record in a backup, which has no history.
    pub(crate) fn from_record(record: &'a StoredRecord, now: Duration) -> Self {
        Self {
            revision: record.revision,
            kind: kind_code(EventKind::Added),
            at: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            replaces: 0,
            key: &record.key,
            value: &record.value,
        }
    }

    /// Returns the checksum of the row. SQLite detects a broken page structure,
    /// but not a broken value.
    pub(crate) fn checksum(&self) -> i64 {
        let mut hasher = Hasher::new();
        hasher.update(&self.revision.to_le_bytes());
        hasher.update(&self.kind.to_le_bytes());
        hasher.update(&self.at.to_le_bytes());
        hasher.update(&self.replaces.to_le_bytes());
        hasher.update(&self.key.len().to_le_bytes());
        hasher.update(self.key.as_bytes());
        hasher.update(self.value);
        hasher.finalize().into()
    }
}

/// Returns the checksum that is stored with the start of the history.
pub(crate) fn history_checksum(compacted_revision: u64) -> i64 {
    crc32fast::hash(&compacted_revision.to_le_bytes()).into()
}

/// Returns the number that stands for an event kind in the database.
fn kind_code(kind: EventKind) -> i64 {
    match kind {
        EventKind::Added => 0,
        EventKind::Modified => 1,
        EventKind::Deleted => 2,
    }
}

pub(crate) fn kind_from_code(code: i64) -> Option<EventKind> {
    [EventKind::Added, EventKind::Modified, EventKind::Deleted]
        .into_iter()
        .find(|&kind| kind_code(kind) == code)
}
