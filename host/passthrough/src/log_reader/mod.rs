//! One viewer's read of a log: what the engine has, then what it adds, as entries
//! with their positions.

mod entry_selection;
mod past_read;
mod ring_search;
mod run_state;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use async_stream::try_stream;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use rdd_core::{ContainerEngine, ContainerIndex, ContainerRef, EngineError, GapReason, Timestamp};
use tokio::sync::watch;

use crate::entries::cursor::SourceSet;
use crate::entries::log_position::LogPosition;
use crate::entries::positioned_batch::PositionedBatch;
use crate::limits;
use crate::log_hub::{LogEnd, LogHub, LogOpenError, LogRing, RingItem, RingLookup, RingPlace};
pub(crate) use entry_selection::EntrySelection;
pub(crate) use past_read::LogStart;
use past_read::PastRead;
use ring_search::{find_place, is_behind, meet, start_of, wait_for_place, wait_until};
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

/// A read of a log in progress. It ends after [`LogItem::End`], or with an error.
pub(crate) type LogItemStream = BoxStream<'static, Result<LogItem, EngineError>>;

impl LogView {
    /// Opens the log.
    ///
    /// # Errors
    ///
    /// Fails with the engine's error if the log cannot be opened, or if too many
    /// logs are open.
    pub(crate) async fn open(self, hub: &LogHub) -> Result<LogItemStream, LogOpenError> {
        // A log that ends at a time is not shared: the engine has to end it.
        if self.follow == FollowMode::No || self.until.is_some() {
            let read = self.open_alone(hub).await?;
            return Ok(self.read_alone(read).boxed());
        }
        let mut ring = hub.join(&self.engine, &self.container).await?;
        // The last lines are those of now, also for a viewer who reads them later.
        wait_until(&mut ring, LogRing::is_caught_up).await;
        let begin = {
            let ring = ring.borrow();
            let place = find_place(&ring, self.start);
            let start = place.and_then(|place| start_of(&ring, place));
            (place, start.unwrap_or(self.start))
        };
        Ok(self.read_shared(hub.clone(), ring, begin).boxed())
    }

    /// Returns whether nothing is read but the position of the end.
    fn is_empty_tail(&self) -> bool {
        self.follow == FollowMode::No
            && matches!(self.start, LogStart::Selected { tail: Some(0), .. })
    }

    async fn open_alone(&self, hub: &LogHub) -> Result<PastRead, LogOpenError> {
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
        PastRead::open(hub, &self.engine, &self.container, start, &options).await
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
    /// the engine. `begin` is the place in the ring, as long as the ring has it, and
    /// the same place in the engine's log.
    fn read_shared(
        self,
        hub: LogHub,
        ring: watch::Receiver<LogRing>,
        begin: (Option<RingPlace>, LogStart),
    ) -> impl futures::Stream<Item = Result<LogItem, EngineError>> + Send {
        // What is rarely needed is boxed: a viewer that waits holds all other variables.
        try_stream! {
            let (mut first_place, mut start) = begin;
            let mut runs = RunWatcher::new(&self);
            let mut is_first = true;
            if self.is_replaced {
                yield LogItem::Gap { reason: GapReason::Replaced, before: None };
            }
            let mut joined = Some(ring);
            loop {
                let mut ring = match joined.take() {
                    Some(ring) => ring,
                    None => Box::pin(hub.join(&self.engine, &self.container)).await?,
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
                        let mut read = Box::pin(PastRead::open(
                            &hub, &self.engine, &self.container, start, &options,
                        ))
                        .await?;
                        while let Some(next) = read.next().await? {
                            let all = 0..next.entries.len();
                            let before = self.select(Arc::clone(&next.entries), all).first_time();
                            // A message ends where a cursor is possible.
                            let met = meet(&ring.borrow(), &next.entries).filter(|(count, _)| {
                                *count == 0 || next.entries.position_after(*count).is_some()
                            });
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
                            let read = Box::pin(view.open_alone(&hub)).await?;
                            let mut alone = Box::pin(view.read_alone(read));
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
                    }
                    let mut place = place.unwrap_or(before);
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
                                // A follower sets the end before it is dropped.
                                ring.changed().await.ok();
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

fn unix_nanoseconds(time: Timestamp) -> i64 {
    time.seconds()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.nanoseconds().into())
}

#[cfg(test)]
mod tests;
