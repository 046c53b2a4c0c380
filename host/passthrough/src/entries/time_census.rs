//! Counts the entries with one time that precede a read.

use futures::StreamExt as _;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, EntryHeader, EntryOptions, ErrorCode, Timestamp,
};

use super::log_position::PositionCounter;
use crate::limits;

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
        let among = headers.iter().filter(|header| header.time == time).count();
        let lines = (headers.len() as u64).saturating_mul(2) + MORE_LINES;
        // The end of the log is cheap to read, and usually enough.
        let near_end = EntryOptions {
            follow: false,
            tail: Some(lines),
            ..EntryOptions::default()
        };
        let census = TimeCensus::read(engine, container, &near_end, time).await?;
        let total = match census.first_time {
            Some(first) if first < time => census.count,
            _ => {
                let from_time = EntryOptions {
                    follow: false,
                    since: Some(Timestamp::from_unix_nanoseconds(time)),
                    ..EntryOptions::default()
                };
                TimeCensus::read(engine, container, &from_time, time)
                    .await?
                    .count
            }
        };
        let before = total.saturating_sub(u32::try_from(among).unwrap_or(u32::MAX));
        counter.set_count(time, before);
    }
    Ok(())
}

/// The entries of a read, by one time.
struct TimeCensus {
    first_time: Option<i64>,
    count: u32,
}

impl TimeCensus {
    async fn read(
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        options: &EntryOptions,
        time: i64,
    ) -> Result<Self, EngineError> {
        let mut census = Self {
            first_time: None,
            count: 0,
        };
        let mut stream = with_timeout(engine.get_entries(container, options)).await?;
        while let Some(batch) = stream.next().await {
            for header in batch?.headers() {
                census.first_time.get_or_insert(header.time);
                if header.time == time {
                    census.count = census.count.saturating_add(1);
                }
            }
        }
        Ok(census)
    }
}

/// Bounds the wait for the engine's first response.
pub(crate) async fn with_timeout<T>(
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let limit = limits::ENGINE_TIMEOUT;
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        Err(EngineError::new(
            ErrorCode::Timeout,
            format!("no answer within {} s", limit.as_secs()),
        ))
    })
}
