//! The entries of a batch that a viewer selects.

use std::ops::Range;
use std::sync::Arc;

use rdd_core::{EntryHeader, LogEntry};

use crate::entries::cursor::SourceSet;
use crate::entries::log_position::LogPosition;
use crate::entries::positioned_batch::PositionedBatch;

/// Consecutive entries of a batch, restricted to what a viewer selects.
#[derive(Clone, Debug)]
pub(crate) struct EntrySelection {
    pub(crate) batch: Arc<PositionedBatch>,
    /// The entries of the batch.
    pub(crate) range: Range<usize>,
    pub(crate) sources: SourceSet,
    /// The earliest time.
    pub(crate) since: Option<i64>,
}

impl EntrySelection {
    /// Returns the position after the last entry.
    pub(crate) fn end(&self) -> Option<LogPosition> {
        self.batch.position_after(self.range.end)
    }

    /// Returns the selected entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = LogEntry<'_>> {
        let Range { start, end } = self.range;
        let entries = self.batch.batch().entries().skip(start);
        let entries = entries.take(end.saturating_sub(start));
        entries.filter(|entry| self.has(&entry.header))
    }

    /// Returns the number in the batch and the length of each selected entry.
    pub(crate) fn costs(&self) -> impl Iterator<Item = (usize, usize)> {
        let numbered = (self.range.start..).zip(self.headers());
        let selected = numbered.filter(|(_, header)| self.has(header));
        selected.map(|(number, header)| (number, header.length as usize))
    }

    /// Returns the time of the first selected entry.
    pub(crate) fn first_time(&self) -> Option<i64> {
        self.headers().find(|it| self.has(it)).map(|it| it.time)
    }

    /// Returns the time of the last selected entry.
    pub(crate) fn last_time(&self) -> Option<i64> {
        self.headers().rfind(|it| self.has(it)).map(|it| it.time)
    }

    fn headers(&self) -> impl DoubleEndedIterator<Item = &EntryHeader> {
        let headers = self.batch.batch().headers();
        headers.get(self.range.clone()).unwrap_or_default().iter()
    }

    fn has(&self, header: &EntryHeader) -> bool {
        self.sources.has(header.source) && self.since.is_none_or(|since| header.time >= since)
    }
}
