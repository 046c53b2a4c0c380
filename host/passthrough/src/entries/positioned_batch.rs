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
            *open_line_mut(&mut open_lines, header.source) = header.is_partial.then_some(position);
            last = Some(position);
        }
        let last = last.filter(is_known)?;
        let open_lines = open_lines.map(|open| open.filter(|open| *open != last));
        open_lines
            .iter()
            .flatten()
            .all(is_known)
            .then_some(LogPosition { last, open_lines })
    }

    /// Returns the smallest number of entries, `count` or more, after which the
    /// position is known.
    pub(crate) fn next_known(&self, count: usize) -> Option<usize> {
        let mut open_lines = self.open_lines;
        let headers = self.batch.headers().iter();
        let entries = (1..).zip(headers.zip(self.entry_positions()));
        let mut known = entries.filter(|(number, (header, position))| {
            *open_line_mut(&mut open_lines, header.source) = header.is_partial.then_some(*position);
            let mut needed = open_lines.iter().flatten().chain([position]);
            *number >= count && needed.all(is_known)
        });
        known.next().map(|(number, _)| number)
    }

    /// Returns the memory in bytes that the batch holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes() + self.indexes.len() * size_of::<u32>() + size_of::<Self>()
    }
}

/// Returns the incomplete line of a source.
fn open_line_mut(
    [stdout, stderr]: &mut [Option<EntryPosition>; 2],
    source: OutputSource,
) -> &mut Option<EntryPosition> {
    match source {
        OutputSource::Stdout => stdout,
        OutputSource::Stderr => stderr,
    }
}

fn is_known(position: &EntryPosition) -> bool {
    position.index != UNKNOWN_INDEX
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
    #[test]
    fn the_next_known_position_is_the_first_one_that_a_cursor_can_have() {
        let header = |time, is_partial| EntryHeader {
            time,
            length: 0,
            source: OutputSource::Stdout,
            is_partial,
        };
        let times = [(5, false), (5, true), (5, false), (6, true), (6, false)];
        let headers = times.map(|(time, is_partial)| header(time, is_partial));
        for mut counter in [
            PositionCounter::from_beginning(),
            // How many entries of the first time precede it is not known.
            PositionCounter::from_tail(5),
        ] {
            let batch = EntryBatch::new(None, headers.to_vec(), Vec::new().into()).unwrap();
            let batch = PositionedBatch::new(batch, &mut counter);
            for count in 0..=times.len() + 1 {
                let mut counts = count.max(1)..=times.len();
                let expected = counts.find(|count| batch.position_after(*count).is_some());
                assert_eq!(batch.next_known(count), expected, "{count}");
            }
        }
    }
}
