//! Batches of log entries.

use std::collections::VecDeque;

use crate::types::{
    ENTRY_PARTIAL, ENTRY_STDERR, EntryBatch, EntryHeader, EntryPosition, GapReason,
    MAX_BATCH_ENTRIES, MAX_CHUNK_BYTES, OutputSource,
};

/// A builder of batches that combines entries up to the contract's limits, and
/// skips the entries up to a position.
///
/// ```
/// use rdd_sdk::entries::EntryBatcher;
/// use rdd_sdk::types::OutputSource;
///
/// let mut batcher = EntryBatcher::new();
/// batcher.push(1_700_000_000_000_000_000, OutputSource::Stdout, b"one", false);
/// batcher.push(1_700_000_000_000_000_001, OutputSource::Stderr, b"two", false);
/// let batches = batcher.take_batches();
/// assert_eq!(batches[0].headers.len(), 2);
/// assert_eq!(batches[0].bytes, b"onetwo");
/// ```
#[derive(Debug, Default)]
pub struct EntryBatcher {
    complete: VecDeque<EntryBatch>,
    gap: Option<GapReason>,
    headers: Vec<EntryHeader>,
    bytes: Vec<u8>,
    /// The number of entries in the last batch: the next one is mostly like it.
    last_entries: usize,
    skip: Option<PositionSearch>,
}

/// The search for the entry at a position.
#[derive(Clone, Copy, Debug)]
struct PositionSearch {
    position: EntryPosition,
    /// The number of entries with the time of the position so far.
    seen: u32,
}

impl EntryBatcher {
    /// Creates a batcher without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a batcher that skips all entries up to the one at `position`,
    /// which must be in the log. The entries that are pushed must begin with the
    /// first one of the position's time, or earlier.
    pub fn after(position: EntryPosition) -> Self {
        Self {
            skip: Some(PositionSearch { position, seen: 0 }),
            ..Self::default()
        }
    }

    /// Returns whether all entries so far were skipped, since the position was
    /// not reached.
    pub fn is_skipping(&self) -> bool {
        self.skip.is_some()
    }

    /// Records that entries are missing before the next one.
    pub fn push_gap(&mut self, reason: GapReason) {
        self.complete_batch();
        self.gap = Some(reason);
    }

    /// Adds an entry. One with more than [`MAX_CHUNK_BYTES`] is divided as the
    /// contract requires.
    pub fn push(&mut self, time: i64, source: OutputSource, bytes: &[u8], is_partial: bool) {
        if let Some(search) = &mut self.skip {
            if time == search.position.time {
                if search.seen == search.position.index {
                    self.skip = None;
                } else {
                    search.seen += 1;
                }
            }
            return;
        }
        let mut rest = bytes;
        loop {
            let (part, next) = rest
                .split_at_checked(MAX_CHUNK_BYTES)
                .unwrap_or((rest, &[]));
            self.push_part(time, source, part, is_partial || !next.is_empty());
            if next.is_empty() {
                return;
            }
            rest = next;
        }
    }

    fn push_part(&mut self, time: i64, source: OutputSource, bytes: &[u8], is_partial: bool) {
        if self.headers.len() == MAX_BATCH_ENTRIES
            || self.bytes.len() + bytes.len() > MAX_CHUNK_BYTES
        {
            self.complete_batch();
        }
        let mut attributes = 0;
        if source == OutputSource::Stderr {
            attributes |= ENTRY_STDERR;
        }
        if is_partial {
            attributes |= ENTRY_PARTIAL;
        }
        if self.headers.capacity() == 0 {
            self.headers.reserve(self.last_entries);
        }
        self.headers.push(EntryHeader {
            time,
            // At most `MAX_CHUNK_BYTES`.
            length: bytes.len() as u32,
            attributes,
        });
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(MAX_CHUNK_BYTES);
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn complete_batch(&mut self) {
        if self.headers.is_empty() && self.gap.is_none() {
            return;
        }
        self.last_entries = self.headers.len();
        self.complete.push_back(EntryBatch {
            gap: self.gap.take(),
            headers: std::mem::take(&mut self.headers),
            bytes: std::mem::take(&mut self.bytes),
        });
    }

    /// Takes all batches of the entries so far.
    pub fn take_batches(&mut self) -> Vec<EntryBatch> {
        self.complete_batch();
        std::mem::take(&mut self.complete).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STDOUT: OutputSource = OutputSource::Stdout;

    fn lengths(batches: &[EntryBatch]) -> Vec<Vec<u32>> {
        batches
            .iter()
            .map(|batch| batch.headers.iter().map(|header| header.length).collect())
            .collect()
    }

    #[test]
    fn a_batch_holds_at_most_64_kib() {
        let mut batcher = EntryBatcher::new();
        for _ in 0..3 {
            batcher.push(1, STDOUT, &[b'x'; 30_000], false);
        }
        let batches = batcher.take_batches();
        assert_eq!(lengths(&batches), [vec![30_000, 30_000], vec![30_000]]);
        assert!(batcher.take_batches().is_empty());
    }

    #[test]
    fn a_batch_holds_at_most_4096_entries() {
        let mut batcher = EntryBatcher::new();
        for _ in 0..5_000 {
            batcher.push(1, STDOUT, b"", false);
        }
        let counts: Vec<_> = batcher
            .take_batches()
            .iter()
            .map(|batch| batch.headers.len())
            .collect();
        assert_eq!(counts, [4_096, 904]);
    }

    #[test]
    fn a_long_entry_is_divided_into_partial_ones() {
        let mut batcher = EntryBatcher::new();
        batcher.push(7, STDOUT, &vec![b'x'; 2 * MAX_CHUNK_BYTES + 1], false);
        batcher.push(8, STDOUT, &vec![b'x'; MAX_CHUNK_BYTES], false);
        let batches = batcher.take_batches();
        let headers: Vec<_> = batches.iter().flat_map(|batch| &batch.headers).collect();
        let parts: Vec<_> = headers
            .iter()
            .map(|header| (header.time, header.length, header.attributes))
            .collect();
        assert_eq!(
            parts,
            [
                (7, 65_536, ENTRY_PARTIAL),
                (7, 65_536, ENTRY_PARTIAL),
                (7, 1, 0),
                (8, 65_536, 0)
            ]
        );
    }

    #[test]
    fn entries_up_to_the_position_are_skipped() {
        let mut batcher = EntryBatcher::after(EntryPosition { time: 5, index: 1 });
        for (time, bytes) in [
            (4, b"a"),
            (5, b"b"),
            (6, b"c"),
            (5, b"d"),
            (4, b"e"),
            (5, b"f"),
        ] {
            assert_eq!(batcher.is_skipping(), !matches!(bytes, b"e" | b"f"));
            batcher.push(time, STDOUT, bytes, false);
        }
        assert_eq!(batcher.take_batches()[0].bytes, b"ef");
    }

    #[test]
    fn a_gap_stands_before_the_entries_that_follow() {
        let mut batcher = EntryBatcher::new();
        batcher.push(1, STDOUT, b"a", false);
        batcher.push_gap(GapReason::Rotated);
        batcher.push(2, STDOUT, b"b", false);
        let batches = batcher.take_batches();
        assert_eq!((batches[0].gap, &*batches[0].bytes), (None, &b"a"[..]));
        assert_eq!(
            (batches[1].gap, &*batches[1].bytes),
            (Some(GapReason::Rotated), &b"b"[..])
        );
        batcher.push_gap(GapReason::Unknown);
        assert_eq!(batcher.take_batches().len(), 1);
    }
}
