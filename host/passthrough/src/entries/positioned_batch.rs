//! Entries with their positions.

use rdd_core::{EntryBatch, EntryBatchError, EntryPosition, OutputSource};

use super::log_position::{LogPosition, PositionCounter, UNKNOWN_INDEX};

/// Consecutive entries of one log with their positions.
#[derive(Clone, Debug)]
pub(crate) struct PositionedBatch {
    batch: EntryBatch,
    /// The index of each entry among those with its time, or [`UNKNOWN_INDEX`].
    indexes: Vec<u32>,
    /// The incomplete lines before the first entry.
    open_lines: [Option<EntryPosition>; 2],
}

impl PositionedBatch {
    /// Counts the entries of `batch`.
    pub(crate) fn new(batch: EntryBatch, counter: &mut PositionCounter) -> Self {
        let open_lines = counter.open_lines;
        let headers = batch.headers().iter();
        let indexes = headers.map(|header| counter.count(header)).collect();
        Self {
            batch,
            indexes,
            open_lines,
        }
    }

    /// Returns the entries.
    pub(crate) fn batch(&self) -> &EntryBatch {
        &self.batch
    }

    /// Adds the entries of the next batch, which were counted after these.
    ///
    /// # Errors
    ///
    /// Fails if the batch would become too large. Then it is unchanged.
    pub(crate) fn append(&mut self, next: &Self) -> Result<(), EntryBatchError> {
        self.batch.append(&next.batch)?;
        self.indexes.extend_from_slice(&next.indexes);
        Ok(())
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Returns the position of each entry, in order. The last one is known.
    pub(crate) fn entry_positions(&self) -> impl DoubleEndedIterator<Item = EntryPosition> {
        let headers = self.batch.headers().iter();
        let indexes = self.indexes.iter();
        headers.zip(indexes).map(|(header, index)| EntryPosition {
            time: header.time,
            index: *index,
        })
    }

    /// Returns the position after the first `count` entries; `None` if it is not
    /// known, or if `count` is 0. That after all entries is known.
    pub(crate) fn position_after(&self, count: usize) -> Option<LogPosition> {
        let mut open_lines = self.open_lines;
        let mut last = None;
        let headers = self.batch.headers().iter();
        for (header, position) in headers.zip(self.entry_positions()).take(count) {
            let [stdout, stderr] = &mut open_lines;
            let open = match header.source {
                OutputSource::Stdout => stdout,
                OutputSource::Stderr => stderr,
            };
            *open = header.is_partial.then_some(position);
            last = Some(position);
        }
        let is_known = |entry: &EntryPosition| entry.index != UNKNOWN_INDEX;
        let last = last.filter(is_known)?;
        let open_lines = open_lines.map(|open| open.filter(|open| *open != last));
        open_lines
            .iter()
            .flatten()
            .all(is_known)
            .then_some(LogPosition { last, open_lines })
    }

    /// Returns the memory in bytes that the batch holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes() + self.indexes.len() * size_of::<u32>() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use rdd_core::EntryHeader;

    use super::*;

    #[test]
    fn appended_entries_keep_the_positions_of_separate_batches() {
        let header = |time, source, is_partial| EntryHeader {
            time,
            length: 0,
            source,
            is_partial,
        };
        let (out, err) = (OutputSource::Stdout, OutputSource::Stderr);
        let mut counter = PositionCounter::from_beginning();
        let mut batch = |headers| {
            let batch = EntryBatch::new(None, headers, Vec::new().into()).unwrap();
            PositionedBatch::new(batch, &mut counter)
        };
        // The second batch begins within lines of both sources, with equal times.
        let first = batch(vec![header(1, out, true), header(1, err, true)]);
        let second = batch(vec![header(1, err, false), header(2, out, true)]);
        let mut joined = first.clone();
        joined.append(&second).unwrap();
        let separate = first.entry_positions().chain(second.entry_positions());
        assert!(joined.entry_positions().eq(separate));
        for count in 1..=2 {
            assert_eq!(joined.position_after(count), first.position_after(count));
            assert_eq!(
                joined.position_after(2 + count),
                second.position_after(count)
            );
        }
    }
}
