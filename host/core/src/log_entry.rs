//! A container's log as entries: the form of the multiplexer, which resumes a
//! log at the position of an entry.

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;

use crate::{EngineError, OutputSource, Timestamp};

/// A log in progress, as entries. It ends like a [`LogStream`](crate::LogStream).
pub type EntryStream = BoxStream<'static, Result<EntryBatch, EngineError>>;

/// The position of an entry in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPosition {
    /// The entry's time in nanoseconds since the Unix epoch.
    pub time: i64,
    /// The number of entries with the same time that precede it in the engine's
    /// order, among the sources that the read selects.
    pub index: u32,
}

/// The part of a container's log to read as entries.
///
/// ```
/// use rdd_core::{EntryOptions, EntryPosition};
///
/// // Everything after an entry that was read before.
/// let options = EntryOptions {
///     after: Some(EntryPosition { time: 1_700_000_000_000_000_000, index: 0 }),
///     ..EntryOptions::default()
/// };
/// assert!(options.follow && options.tail.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryOptions {
    /// Whether to continue after the last entry with what the container writes
    /// next.
    pub follow: bool,
    /// The number of lines from the end of the log; `None` for all lines.
    pub tail: Option<u64>,
    /// Selects entries whose time is this or later.
    pub since: Option<Timestamp>,
    /// Selects entries whose time is earlier than this. A followed log ends
    /// there.
    pub until: Option<Timestamp>,
    /// Selects what follows the entry at this position. If the log no longer
    /// has that entry, the first batch has a gap. Excludes `tail` and `since`.
    pub after: Option<EntryPosition>,
    /// Whether to include standard output.
    pub stdout: bool,
    /// Whether to include standard error.
    pub stderr: bool,
}

impl Default for EntryOptions {
    /// Selects the whole log of both sources, followed.
    fn default() -> Self {
        Self {
            follow: true,
            tail: None,
            since: None,
            until: None,
            after: None,
            stdout: true,
            stderr: true,
        }
    }
}

/// The description of one entry of an [`EntryBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// When the engine recorded the entry, in nanoseconds since the Unix epoch;
    /// 0 if the engine records no times.
    pub time: i64,
    /// The length of the entry's bytes, at most [`EntryBatch::MAX_BYTES`].
    pub length: u32,
    /// The source that the entry was written to.
    pub source: OutputSource,
    /// Whether the log has no newline after the entry.
    pub is_partial: bool,
}

/// The reason why entries are missing from a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The engine discarded them to limit the size of the log.
    Rotated,
    /// The log belongs to another container than before, or was emptied.
    Replaced,
    /// The engine did not keep them for a slow reader.
    Lagged,
    /// The backend cannot tell.
    Unknown,
}

/// One entry of a log: a line without its newline, or a part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// The entry's description.
    pub header: EntryHeader,
    /// The entry's bytes, which need not be UTF-8.
    pub bytes: &'a [u8],
}

/// Consecutive entries of one log.
///
/// ```
/// use rdd_core::{EntryBatch, EntryHeader, OutputSource};
///
/// let header = |length| EntryHeader {
///     time: 0,
///     length,
///     source: OutputSource::Stdout,
///     is_partial: false,
/// };
/// let batch = EntryBatch::new(None, vec![header(2), header(3)], "abxyz".into())?;
/// let lines: Vec<&[u8]> = batch.entries().map(|entry| entry.bytes).collect();
/// assert_eq!(lines, [b"ab".as_slice(), b"xyz"]);
/// # Ok::<(), rdd_core::EntryBatchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBatch {
    gap: Option<GapReason>,
    headers: Vec<EntryHeader>,
    bytes: Bytes,
}

/// Headers and bytes that do not make a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryBatchError {
    /// There are too many entries.
    #[error("a batch has {0} entries; {max} are allowed", max = EntryBatch::MAX_ENTRIES)]
    Entries(usize),
    /// There are too many bytes.
    #[error("a batch has {0} bytes; {max} are allowed", max = EntryBatch::MAX_BYTES)]
    Bytes(usize),
    /// The lengths of the entries do not add up to the bytes.
    #[error("the lengths of a batch add up to {sum}, but it has {bytes} bytes")]
    Lengths {
        /// The sum of the lengths.
        sum: u64,
        /// The number of bytes.
        bytes: usize,
    },
}

impl EntryBatch {
    /// The maximum number of bytes in a batch, and so in an entry.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The maximum number of entries in a batch.
    pub const MAX_ENTRIES: usize = 4_096;

    /// Creates a batch of `headers` and the bytes of all entries in their order.
    /// `gap` says that entries are missing before the first one.
    ///
    /// # Errors
    ///
    /// Fails if a batch of this size is not allowed, or if the lengths do not
    /// add up.
    pub fn new(
        gap: Option<GapReason>,
        headers: Vec<EntryHeader>,
        bytes: Bytes,
    ) -> Result<Self, EntryBatchError> {
        if headers.len() > Self::MAX_ENTRIES {
            return Err(EntryBatchError::Entries(headers.len()));
        }
        if bytes.len() > Self::MAX_BYTES {
            return Err(EntryBatchError::Bytes(bytes.len()));
        }
        // At most 4,096 lengths of 32 bits: the sum cannot overflow.
        let sum = headers.iter().map(|header| u64::from(header.length)).sum();
        if sum != bytes.len() as u64 {
            return Err(EntryBatchError::Lengths {
                sum,
                bytes: bytes.len(),
            });
        }
        Ok(Self {
            gap,
            headers,
            bytes,
        })
    }

    /// Returns why entries are missing before the first one of this batch.
    pub fn gap(&self) -> Option<GapReason> {
        self.gap
    }

    /// Returns the description of each entry.
    pub fn headers(&self) -> &[EntryHeader] {
        &self.headers
    }

    /// Returns the bytes of all entries, in the order of the headers.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the entries in order.
    pub fn entries(&self) -> impl Iterator<Item = LogEntry<'_>> {
        let mut rest = &self.bytes[..];
        self.headers.iter().map(move |header| {
            // `new` has compared the sum of the lengths with the bytes.
            let (bytes, next) = rest
                .split_at_checked(header.length as usize)
                .unwrap_or((rest, &[]));
            rest = next;
            LogEntry {
                header: *header,
                bytes,
            }
        })
    }

    /// Returns the entries after the first `count`, without the gap.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        let count = count.min(self.headers.len());
        let (skipped, left) = self.headers.split_at(count);
        let bytes: usize = skipped.iter().map(|header| header.length as usize).sum();
        Self {
            gap: None,
            headers: left.to_vec(),
            // `new` has compared the sum of all lengths with the bytes.
            bytes: self.bytes.slice(bytes..),
        }
    }

    /// Adds the entries of the next batch, without its gap.
    ///
    /// # Errors
    ///
    /// Fails if the batch would become too large. Then it is unchanged.
    pub fn append(&mut self, next: &Self) -> Result<(), EntryBatchError> {
        let entries = self.headers.len() + next.headers.len();
        if entries > Self::MAX_ENTRIES {
            return Err(EntryBatchError::Entries(entries));
        }
        let bytes = self.bytes.len() + next.bytes.len();
        if bytes > Self::MAX_BYTES {
            return Err(EntryBatchError::Bytes(bytes));
        }
        // The bytes are copied only if something else has them.
        let mut joined = BytesMut::from(std::mem::take(&mut self.bytes));
        joined.extend_from_slice(&next.bytes);
        self.bytes = joined.freeze();
        self.headers.extend_from_slice(&next.headers);
        Ok(())
    }

    /// Returns the memory in bytes that the batch holds.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.headers.len() * size_of::<EntryHeader>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32) -> EntryHeader {
        EntryHeader {
            time: 0,
            length,
            source: OutputSource::Stdout,
            is_partial: false,
        }
    }

    #[test]
    fn skipped_entries_take_their_bytes_with_them() {
        let headers = vec![header(2), header(0), header(3)];
        let batch =
            EntryBatch::new(Some(GapReason::Rotated), headers, b"abxyz"[..].into()).unwrap();
        let rest = |count| {
            let rest = batch.skip(count);
            (rest.gap(), rest.headers().len(), rest.bytes().to_vec())
        };
        assert_eq!(rest(0), (None, 3, b"abxyz".to_vec()));
        assert_eq!(rest(1), (None, 2, b"xyz".to_vec()));
        assert_eq!(rest(3), (None, 0, Vec::new()));
        assert_eq!(rest(9), (None, 0, Vec::new()));
    }

    #[test]
    fn appended_entries_follow_within_the_limits() {
        let batch = |length: u32| {
            let bytes = vec![b'x'; length as usize];
            EntryBatch::new(Some(GapReason::Rotated), vec![header(length)], bytes.into()).unwrap()
        };
        let mut joined = batch(2);
        joined.append(&batch(3)).unwrap();
        let lengths: Vec<_> = joined.entries().map(|entry| entry.bytes.len()).collect();
        assert_eq!(lengths, [2, 3]);
        assert_eq!(joined.gap(), Some(GapReason::Rotated));

        let before = joined.clone();
        let long = batch(65_532);
        assert_eq!(joined.append(&long), Err(EntryBatchError::Bytes(65_537)));
        let empty = vec![header(0); EntryBatch::MAX_ENTRIES - 1];
        let many = EntryBatch::new(None, empty, Bytes::new()).unwrap();
        assert_eq!(joined.append(&many), Err(EntryBatchError::Entries(4_097)));
        assert_eq!(joined, before);
    }

    #[test]
    fn a_batch_is_bounded_and_its_lengths_add_up() {
        let batch = |headers, bytes: usize| EntryBatch::new(None, headers, vec![0; bytes].into());
        batch(vec![], 0).unwrap();
        batch(vec![header(0); EntryBatch::MAX_ENTRIES], 0).unwrap();
        batch(vec![header(65_536)], EntryBatch::MAX_BYTES).unwrap();
        assert_eq!(
            batch(vec![header(0); EntryBatch::MAX_ENTRIES + 1], 0),
            Err(EntryBatchError::Entries(4_097))
        );
        assert_eq!(
            batch(vec![header(65_537)], EntryBatch::MAX_BYTES + 1),
            Err(EntryBatchError::Bytes(65_537))
        );
        for (headers, bytes) in [
            (vec![header(3)], 2),
            (vec![header(1)], 2),
            (vec![header(u32::MAX), header(2)], 1),
        ] {
            assert!(
                matches!(batch(headers, bytes), Err(EntryBatchError::Lengths { .. })),
                "{bytes}"
            );
        }
    }
}
