//! Counts the entries with one time that precede a read.

use futures::StreamExt as _;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, EntryHeader, EntryOptions, EntryPosition, Timestamp,
};

use super::engine_call::with_timeout;
use super::log_position::PositionCounter;

/// How many lines more than those of a batch are read to find the entries that
/// precede it: more than the parts of a line of 4 MiB.
const MORE_LINES: u64 = 256;

/// Counts in the engine's log what `counter` has not counted, so that it can tell
/// the positions of these entries.
pub(crate) async fn count_uncounted(
    engine: &dyn ContainerEngine,
    container: &ContainerRef,
    counter: &mut PositionCounter,
    headers: &[EntryHeader],
) -> Result<(), EngineError> {
    while let Some(time) = counter.uncounted_time(headers) {
        let anchor = counter.anchor();
        let lines = (headers.len() as u64).saturating_mul(2) + MORE_LINES;
        let earliest = anchor.map_or(time, |anchor| anchor.time.min(time));
        // The end of the log is cheap to read, and usually enough.
        let near_end = EntryOptions {
            follow: false,
            tail: Some(lines),
            ..EntryOptions::default()
        };
        let mut census = TimeCensus::read(engine, container, &near_end, time, anchor).await?;
        let has_all = census.first_time.is_some_and(|first| first < earliest);
        if !has_all || (anchor.is_some() && !census.has_anchor) {
            let from_time = EntryOptions {
                follow: false,
                since: Some(Timestamp::from_unix_nanoseconds(earliest)),
                ..EntryOptions::default()
            };
            census = TimeCensus::read(engine, container, &from_time, time, anchor).await?;
        }
        let mut before = census.count;
        if anchor.is_none() {
            // The entries of the batch are the last ones with this time.
            let among = headers.iter().filter(|header| header.time == time).count();
            before = before.saturating_sub(u32::try_from(among).unwrap_or(u32::MAX));
        }
        counter.set_count(time, before);
    }
    Ok(())
}

/// The entries with one time of a read, up to the anchor.
struct TimeCensus {
    first_time: Option<i64>,
    count: u32,
    has_anchor: bool,
}

impl TimeCensus {
    async fn read(
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        options: &EntryOptions,
        time: i64,
        anchor: Option<EntryPosition>,
    ) -> Result<Self, EngineError> {
        let mut census = Self {
            first_time: None,
            count: 0,
            has_anchor: false,
        };
        let mut before_anchor = anchor.map(|anchor| anchor.index);
        let mut stream = with_timeout(engine.get_entries(container, options)).await?;
        while let Some(batch) = stream.next().await {
            for header in batch?.headers() {
                census.first_time.get_or_insert(header.time);
                if header.time == time {
                    census.count = census.count.saturating_add(1);
                }
                if anchor.is_some_and(|anchor| anchor.time == header.time) {
                    let Some(left) = before_anchor.and_then(|left| left.checked_sub(1)) else {
                        census.has_anchor = true;
                        return Ok(census);
                    };
                    before_anchor = Some(left);
                }
            }
        }
        Ok(census)
    }
}
