//! Counts the entries with one time that precede a read.

use std::collections::VecDeque;

use futures::StreamExt as _;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, EntryBatch, EntryOptions, EntryPosition, LogEntry,
    OutputSource, Timestamp,
};
use sha2::{Digest as _, Sha256};

use super::engine_call::with_timeout;
use super::log_position::PositionCounter;

/// How many lines more than those of a batch are read to find the entries that
/// precede it: more than the parts of a line of 4 MiB.
pub(super) const MORE_LINES: u64 = 256;
/// How often more lines are read before everything since the time is, and how many
/// times as many lines.
const READS: u32 = 3;
const MORE_LINES_FACTOR: u64 = 16;
/// How far the times of two sources may cross. An engine takes the time of an entry
/// before it waits for its turn to write it.
const CROSSING_NANOSECONDS: i64 = 1_000_000_000;

/// Counts in the engine's log what `counter` has not counted, so that it can tell
/// the positions of these entries, which come next.
pub(crate) async fn count_uncounted(
    engine: &dyn ContainerEngine,
    container: &ContainerRef,
    counter: &mut PositionCounter,
    batch: &EntryBatch,
) -> Result<(), EngineError> {
    while let Some(time) = counter.uncounted_time(batch.headers()) {
        let end = CensusEnd::find(counter, batch, time);
        let census = TimeCensus::take(engine, container, time, &end, batch.headers().len()).await?;
        let has_time = |entry: &LogEntry<'_>| entry.header.time == time;
        let before = match &end {
            CensusEnd::Before(_) => census
                .count
                .saturating_add(counter.count_since_anchor(time)),
            CensusEnd::Within(number, _) => {
                let among = batch.entries().take(*number).filter(has_time).count();
                census.count.saturating_sub(count_of(among))
            }
            CensusEnd::Entries(entries) => census.count.saturating_sub(count_of(entries.len())),
        };
        counter.set_count(time, before);
    }
    Ok(())
}

fn count_of(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(u32::MAX)
}

/// Where a census ends: more entries may follow the batch in the engine's log, also
/// with the time that is counted.
enum CensusEnd {
    /// With an entry that precedes the batch.
    Before(EntryPosition),
    /// With the entry of the batch that has this number.
    Within(usize, EntryPosition),
    /// With the last entries that equal these, which are those of the batch with the
    /// time: no position is known.
    Entries(VecDeque<EntryDigest>),
}

/// The digest of an entry.
type EntryDigest = [u8; 32];

fn digest(entry: &LogEntry<'_>) -> EntryDigest {
    let flags = [
        u8::from(entry.header.source == OutputSource::Stderr),
        u8::from(entry.header.is_partial),
    ];
    let digest = Sha256::new().chain_update(flags);
    digest.chain_update(entry.bytes).finalize().into()
}

impl CensusEnd {
    fn find(counter: &PositionCounter, batch: &EntryBatch, time: i64) -> Self {
        if let Some(anchor) = counter.anchor() {
            return Self::Before(anchor);
        }
        if let Some((number, position)) = counter.first_known(batch.headers()) {
            return Self::Within(number, position);
        }
        let entries = batch.entries().filter(|entry| entry.header.time == time);
        Self::Entries(entries.map(|entry| digest(&entry)).collect())
    }

    fn anchor(&self) -> Option<EntryPosition> {
        match self {
            Self::Before(anchor) | Self::Within(_, anchor) => Some(*anchor),
            Self::Entries(_) => None,
        }
    }
}

/// The number of entries with one time, up to the end.
struct TimeCensus<'a> {
    time: i64,
    end: &'a CensusEnd,
    first_time: Option<i64>,
    /// The number of entries that were read, if all were read.
    entries: Option<u64>,
    count: u32,
    is_at_end: bool,
}

impl<'a> TimeCensus<'a> {
    fn new(time: i64, end: &'a CensusEnd) -> Self {
        Self {
            time,
            end,
            first_time: None,
            entries: None,
            count: 0,
            is_at_end: false,
        }
    }

    /// Counts in the engine's log for a batch of this number of entries.
    async fn take(
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        time: i64,
        end: &'a CensusEnd,
        entries: usize,
    ) -> Result<Self, EngineError> {
        let earliest = end.anchor().map_or(time, |anchor| anchor.time.min(time));
        // The end of the log is cheap to read, and usually enough.
        let mut lines = (entries as u64).saturating_mul(2) + MORE_LINES;
        for _ in 0..READS {
            let near_end = EntryOptions {
                follow: false,
                tail: Some(lines),
                ..EntryOptions::default()
            };
            let mut census = Self::new(time, end);
            census.read(engine, container, &near_end).await?;
            let begin = earliest.saturating_sub(CROSSING_NANOSECONDS);
            let is_early = census.first_time.is_some_and(|first| first < begin);
            let is_whole = census.entries.is_some_and(|entries| entries < lines);
            if is_whole || census.is_at_end && is_early {
                return Ok(census);
            }
            lines = lines.saturating_mul(MORE_LINES_FACTOR);
        }
        let from_time = EntryOptions {
            follow: false,
            since: Some(Timestamp::from_unix_nanoseconds(earliest)),
            ..EntryOptions::default()
        };
        let mut census = Self::new(time, end);
        census.read(engine, container, &from_time).await?;
        Ok(census)
    }

    async fn read(
        &mut self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<(), EngineError> {
        let mut before_anchor = self.end.anchor().map(|anchor| anchor.index);
        let mut last = VecDeque::new();
        let (mut entries, mut read) = (0, 0);
        let mut stream = with_timeout(engine.get_entries(container, options)).await?;
        while let Some(batch) = stream.next().await {
            for entry in batch?.entries() {
                let time = entry.header.time;
                self.first_time.get_or_insert(time);
                entries += 1;
                if time == self.time {
                    read += 1;
                }
                match self.end {
                    CensusEnd::Before(anchor) | CensusEnd::Within(_, anchor) => {
                        self.count = read;
                        if time != anchor.time {
                            continue;
                        }
                        before_anchor = before_anchor.and_then(|left| left.checked_sub(1));
                        if before_anchor.is_none() {
                            self.is_at_end = true;
                            return Ok(());
                        }
                    }
                    CensusEnd::Entries(wanted) if time == self.time => {
                        last.push_back(digest(&entry));
                        if last.len() > wanted.len() {
                            last.pop_front();
                        }
                        if last == *wanted {
                            self.is_at_end = true;
                            self.count = read;
                        }
                    }
                    CensusEnd::Entries(_) => {}
                }
            }
        }
        self.entries = Some(entries);
        Ok(())
    }
}
