//! One viewer's read of a log: what the engine has, then what it adds, as entries
//! with their positions.

mod past_read;
mod run_state;

use std::borrow::Cow;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use async_stream::try_stream;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use rdd_core::{
    ContainerEngine, ContainerIndex, ContainerRef, EngineError, EntryHeader, GapReason, LogEntry,
    Timestamp,
};
use tokio::sync::watch;

use crate::entries::cursor::SourceSet;
use crate::entries::log_position::{LogPosition, PositionedBatch};
use crate::limits;
use crate::log_hub::{LogEnd, LogHub, LogRing, RingItem, RingLookup, RingPlace};
pub(crate) use past_read::LogStart;
use past_read::PastRead;
pub(crate) use run_state::ContainerRun;
use run_state::{RunChange, RunWatcher};

/// The reasons for the end of a log.
const ENDED: &str = "the log ended";
const REMOVED: &str = "the container was removed";

/// Whether a viewer stays at the end of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FollowMode {
    /// The read ends with what the log has.
    No,
    /// The read ends when the container stops.
    #[default]
    Yes,
    /// The read ends when the container is removed.
    Restart,
}

/// The log that a viewer reads, and the part of it.
#[derive(Clone)]
pub(crate) struct LogView {
    pub(crate) engine: Arc<dyn ContainerEngine>,
    pub(crate) container: ContainerRef,
    pub(crate) containers: watch::Receiver<ContainerIndex>,
    pub(crate) start: LogStart,
    /// Whether the start is that of another container of the same name.
    pub(crate) is_replaced: bool,
    pub(crate) until: Option<Timestamp>,
    pub(crate) follow: FollowMode,
    pub(crate) sources: SourceSet,
}

/// An item of a viewer's read.
#[derive(Clone, Debug)]
pub(crate) enum LogItem {
    /// Entries, of which some may not be selected.
    Entries(EntrySelection),
    /// The position at which the read begins, if nothing was read before it.
    Position(Option<LogPosition>),
    /// Entries are missing here.
    Gap {
        /// Why they are missing.
        reason: GapReason,
        /// The time of the next entry, if there is one.
        before: Option<i64>,
    },
    /// The container stopped.
    Stopped(ContainerRun),
    /// The container started.
    Started(ContainerRun),
    /// The log ended; the reason is a sentence.
    End(Cow<'static, str>),
}

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

/// A read of a log in progress. It ends after [`LogItem::End`], or with an error.
pub(crate) type LogItemStream = BoxStream<'static, Result<LogItem, EngineError>>;

impl LogView {
    /// Opens the log.
    ///
    /// # Errors
    ///
    /// Fails with the engine's error if the log cannot be opened.
    pub(crate) async fn open(self, hub: &LogHub) -> Result<LogItemStream, EngineError> {
        // A log that ends at a time is not shared: the engine has to end it.
        if self.follow == FollowMode::No || self.until.is_some() {
            let read = self.open_alone().await?;
            return Ok(self.read_alone(read).boxed());
        }
        let mut ring = hub.join(&self.engine, &self.container).await?;
        // The last lines are those of now, also for a viewer who reads them later.
        wait_until(&mut ring, LogRing::is_caught_up).await;
        let place = find_place(&ring.borrow(), self.start);
        Ok(self.read_shared(hub.clone(), ring, place).boxed())
    }

    /// Returns whether nothing is read but the position of the end.
    fn is_empty_tail(&self) -> bool {
        self.follow == FollowMode::No
            && matches!(self.start, LogStart::Selected { tail: Some(0), .. })
    }

    async fn open_alone(&self) -> Result<PastRead, EngineError> {
        let start = if self.is_empty_tail() {
            // The last entry tells the position.
            LogStart::Selected {
                tail: Some(1),
                since: None,
            }
        } else {
            self.start
        };
        let options = start.options(self.follow != FollowMode::No, self.until);
        PastRead::open(&self.engine, &self.container, start, &options).await
    }

    /// Reads the log from an engine stream of its own.
    fn read_alone(
        self,
        mut read: PastRead,
    ) -> impl futures::Stream<Item = Result<LogItem, EngineError>> + Send {
        try_stream! {
            if self.is_replaced {
                yield LogItem::Gap { reason: GapReason::Replaced, before: None };
            }
            let mut position = match self.start {
                LogStart::After(position) => position,
                LogStart::Selected { .. } => None,
            };
            let mut is_first = true;
            while let Some(next) = read.next().await? {
                let count = next.entries.len();
                let selection = self.select(next.entries, 0..count);
                if let Some(reason) = next.gap {
                    yield LogItem::Gap { reason, before: selection.first_time() };
                }
                if count == 0 {
                    continue;
                }
                position = selection.end();
                if !self.is_empty_tail() {
                    is_first = false;
                    yield LogItem::Entries(selection);
                }
            }
            if is_first {
                yield LogItem::Position(position);
            }
            yield LogItem::End(ENDED.into());
        }
    }

    fn select(&self, batch: Arc<PositionedBatch>, range: Range<usize>) -> EntrySelection {
        EntrySelection {
            batch,
            range,
            sources: self.sources,
            since: self.start.since().map(unix_nanoseconds),
        }
    }

    /// Reads the log from a shared engine stream, and what it does not have from
    /// the engine.
    fn read_shared(
        self,
        hub: LogHub,
        ring: watch::Receiver<LogRing>,
        mut first_place: Option<RingPlace>,
    ) -> impl futures::Stream<Item = Result<LogItem, EngineError>> + Send {
        try_stream! {
            let mut start = self.start;
            if let Some(place) = first_place {
                start = LogStart::After(ring.borrow().position_before(place));
            }
            let mut runs = RunWatcher::new(&self);
            let mut is_first = true;
            if self.is_replaced {
                yield LogItem::Gap { reason: GapReason::Replaced, before: None };
            }
            let mut joined = Some(ring);
            loop {
                let mut ring = match joined.take() {
                    Some(ring) => ring,
                    None => hub.join(&self.engine, &self.container).await?,
                };
                let end = 'attached: loop {
                    wait_until(&mut ring, LogRing::is_caught_up).await;
                    let before = ring.borrow().newest();
                    let mut place = first_place
                        .take()
                        .or_else(|| find_place(&ring.borrow(), start));
                    if place.is_none() {
                        let mut read_any = false;
                        let options = start.options(false, None);
                        let mut read =
                            PastRead::open(&self.engine, &self.container, start, &options).await?;
                        while let Some(next) = read.next().await? {
                            let all = 0..next.entries.len();
                            let before = self.select(Arc::clone(&next.entries), all).first_time();
                            let met = meet(&ring.borrow(), &next.entries);
                            let count = met.map_or(next.entries.len(), |(count, _)| count);
                            let selection = self.select(next.entries, 0..count);
                            if let Some(reason) = next.gap {
                                read_any = true;
                                start = LogStart::After(None);
                                yield LogItem::Gap { reason, before };
                            }
                            if let Some(position) = selection.end() {
                                start = LogStart::After(Some(position));
                            }
                            if count > 0 {
                                read_any = true;
                                is_first = false;
                                yield LogItem::Entries(selection);
                            }
                            if let Some((_, at)) = met {
                                place = Some(at);
                                break;
                            }
                        }
                        if place.is_none() && read_any {
                            // The ring may be a moment behind this read.
                            wait_for_place(&mut ring, start).await;
                            continue 'attached;
                        }
                        if place.is_none() {
                            // The log has nothing after the start, so what the ring
                            // gets from now on is all.
                            wait_for_place(&mut ring, start).await;
                            place = find_place(&ring.borrow(), start);
                        }
                        if place.is_none() && is_behind(&ring.borrow(), start) {
                            let view = Self { start, is_replaced: false, ..self.clone() };
                            let read = view.open_alone().await?;
                            let mut alone = pin!(view.read_alone(read));
                            while let Some(item) = alone.next().await {
                                match item? {
                                    LogItem::End(_) | LogItem::Position(_) => {}
                                    item => {
                                        if let LogItem::Entries(entries) = &item
                                            && let Some(position) = entries.end()
                                        {
                                            start = LogStart::After(Some(position));
                                        }
                                        yield item;
                                    }
                                }
                            }
                            break 'attached LogEnd::Ended;
                        }
                        place = place.or(Some(before));
                    }
                    let Some(mut place) = place else {
                        continue 'attached;
                    };
                    if is_first {
                        // A viewer can resume also if nothing is written.
                        is_first = false;
                        let before = ring.borrow().position_before(place);
                        let known = match start {
                            LogStart::After(position) => position,
                            LogStart::Selected { .. } => None,
                        };
                        let pending = matches!(ring.borrow().get(place.item), RingLookup::Pending);
                        if pending {
                            yield LogItem::Position(before.or(known));
                        }
                    }
                    loop {
                        let found = ring.borrow_and_update().get(place.item);
                        match found {
                            RingLookup::Item(RingItem::Batch(batch)) => {
                                let range = place.entry..batch.len();
                                if let Some(position) = batch.position_after(batch.len()) {
                                    start = LogStart::After(Some(position));
                                }
                                place = RingPlace { item: place.item + 1, entry: 0 };
                                if !range.is_empty() {
                                    yield LogItem::Entries(self.select(batch, range));
                                }
                            }
                            RingLookup::Item(RingItem::Gap(reason)) => {
                                place = RingPlace { item: place.item + 1, entry: 0 };
                                let next = ring.borrow().get(place.item);
                                let before = match next {
                                    RingLookup::Item(RingItem::Batch(batch)) => {
                                        let count = batch.len();
                                        self.select(batch, 0..count).first_time()
                                    }
                                    _ => None,
                                };
                                yield LogItem::Gap { reason, before };
                            }
                            RingLookup::Discarded => continue 'attached,
                            RingLookup::Pending => {
                                // The follower sets the end before it ends.
                                if ring.changed().await.is_err() {
                                    let found = ring.borrow().get(place.item);
                                    if matches!(found, RingLookup::Pending) {
                                        break 'attached LogEnd::Ended;
                                    }
                                }
                            }
                            RingLookup::End(end) => break 'attached end,
                        }
                    }
                };
                drop(ring);
                if let LogEnd::Failed(error) = end {
                    Err(error)?;
                }
                if self.follow != FollowMode::Restart {
                    break;
                }
                match runs.after_end().await? {
                    RunChange::Removed => {
                        yield LogItem::End(REMOVED.into());
                        return;
                    }
                    RunChange::None => tokio::time::sleep(limits::REOPEN_INTERVAL).await,
                    RunChange::Restarted { stopped, started } => {
                        yield LogItem::Stopped(stopped);
                        yield LogItem::Started(started);
                    }
                    RunChange::Stopped(stopped) => {
                        yield LogItem::Stopped(stopped);
                        let Some(started) = runs.started().await? else {
                            yield LogItem::End(REMOVED.into());
                            return;
                        };
                        yield LogItem::Started(started);
                    }
                }
            }
            yield LogItem::End(ENDED.into());
        }
    }
}

/// Returns the place in the ring at which a read from `start` continues.
fn find_place(ring: &LogRing, start: LogStart) -> Option<RingPlace> {
    match start {
        LogStart::Selected { tail: Some(0), .. } => Some(ring.newest()),
        LogStart::Selected {
            tail: Some(tail),
            since: None,
        } => ring.tail(tail),
        LogStart::Selected {
            tail: Some(_),
            since: Some(_),
        } => None,
        // Entries before `since` are left out by the selection.
        LogStart::Selected { tail: None, .. } | LogStart::After(None) => ring.beginning(),
        LogStart::After(Some(position)) => ring.after(position.last),
    }
}

/// Returns whether the ring has not reached `start`, as far as its last entry tells.
fn is_behind(ring: &LogRing, start: LogStart) -> bool {
    match (start, ring.last_entry()) {
        (LogStart::After(Some(position)), Some(last)) => last.time < position.last.time,
        _ => false,
    }
}

/// Returns the number of entries of a read before the first one that the ring has,
/// and the place of that one.
fn meet(ring: &LogRing, read: &PositionedBatch) -> Option<(usize, RingPlace)> {
    let first = ring.first_entry()?;
    // Reading is cheaper than searching, and most of a long log is older.
    let last = read.batch().headers().last()?;
    if last.time < first.time {
        return None;
    }
    let count = read
        .entry_positions()
        .position(|position| position == first)?;
    Some((count, ring.oldest_entry()))
}

/// Waits until the ring has the state, or the log has ended.
async fn wait_until(ring: &mut watch::Receiver<LogRing>, is_reached: impl Fn(&LogRing) -> bool) {
    let reached = ring.wait_for(|ring| is_reached(ring) || ring.end().is_some());
    // If the follower has ended, waiting does not help. If it takes too long, the
    // viewer reads from the engine what is missing.
    tokio::time::timeout(limits::ENGINE_TIMEOUT, reached)
        .await
        .ok();
}

/// Waits until the ring has the place of `start`, for a moment only.
async fn wait_for_place(ring: &mut watch::Receiver<LogRing>, start: LogStart) {
    if !matches!(start, LogStart::After(Some(_))) {
        return;
    }
    let reached = wait_until(ring, |ring| find_place(ring, start).is_some());
    tokio::time::timeout(limits::RING_LAG_TIMEOUT, reached)
        .await
        .ok();
}

fn unix_nanoseconds(time: Timestamp) -> i64 {
    time.seconds()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.nanoseconds().into())
}
