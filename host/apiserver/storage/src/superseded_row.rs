//! The rows of the database that compaction deletes.

use crate::record::{EventKind, StoreEvent};

/// A row that can be deleted once the history begins at `compacted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SupersededRow {
    pub(crate) revision: u64,
    pub(crate) compacted: u64,
}

impl SupersededRow {
    /// Returns the rows that can be deleted once `event` has left the history.
    pub(crate) fn superseded_by(event: &StoreEvent) -> impl Iterator<Item = Self> + use<> {
        let compacted = event.revision;
        let replaced = event.previous.as_ref().map(|record| record.revision);
        let deletion = (event.kind == EventKind::Deleted).then_some(event.revision);
        let revisions = replaced.into_iter().chain(deletion);
        revisions.map(move |revision| Self {
            revision,
            compacted,
        })
    }
}
