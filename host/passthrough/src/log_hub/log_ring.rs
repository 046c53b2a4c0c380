//! The last entries of a followed log, in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use rdd_core::{EngineError, EntryPosition, GapReason};

use crate::entries::log_position::LogPosition;
use crate::entries::positioned_batch::PositionedBatch;
use crate::limits;

/// One item of a followed log.
#[derive(Clone, Debug)]
pub(crate) enum RingItem {
    /// Entries in the engine's order.
    Batch(Arc<PositionedBatch>),
    /// Entries are missing here.
    Gap(GapReason),
}

/// How a followed log ended.
#[derive(Clone, Debug)]
pub(crate) enum LogEnd {
    /// The container stopped or was removed.
    Ended,
    /// The engine or the backend failed.
    Failed(EngineError),
}

/// The last items of a log. Its only writer is the engine's follower; readers
/// borrow it from a watch channel, each with the sequence number of its next item.
#[derive(Clone, Debug)]
pub(crate) struct LogRing {
    items: VecDeque<RingItem>,
    /// The sequence number of the first item.
    first: u64,
    entries: usize,
    bytes: usize,
    max_bytes: usize,
    /// Whether the first item is the first of the whole log.
    is_whole: bool,
    /// Whether everything that the log had when it was opened has been read.
    is_caught_up: bool,
    end: Option<LogEnd>,
}

/// A place in a ring: an item, and a number of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RingPlace {
    /// The sequence number of an item.
    pub(crate) item: u64,
    /// The number of its entries before this place.
    pub(crate) entry: usize,
}

/// What a reader finds at its place.
#[derive(Clone, Debug)]
pub(crate) enum RingLookup {
    /// The next item.
    Item(RingItem),
    /// The item was discarded for newer ones.
    Discarded,
    /// There is nothing more yet.
    Pending,
    /// The log ended.
    End(LogEnd),
}

impl LogRing {
    /// Creates an empty ring. `is_whole` says that the follower reads from the
    /// beginning of the log.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self {
            items: VecDeque::new(),
            first: 0,
            entries: 0,
            bytes: 0,
            max_bytes: limits::MAX_RING_BYTES,
            is_whole,
            is_caught_up: false,
            end: None,
        }
    }

    /// Adds an item and discards the oldest ones above the limit.
    pub(crate) fn push(&mut self, item: RingItem) {
        self.entries += entry_count(&item);
        self.bytes += memory_bytes(&item);
        self.items.push_back(item);
        while self.bytes > self.max_bytes && self.items.len() > 1 {
            if let Some(oldest) = self.items.pop_front() {
                self.entries -= entry_count(&oldest);
                self.bytes -= memory_bytes(&oldest);
                self.first += 1;
                self.is_whole = false;
            }
        }
    }

    /// Records that the follower has read everything that was there at first.
    pub(crate) fn set_caught_up(&mut self) {
        self.is_caught_up = true;
    }

    /// Records the end of the log.
    pub(crate) fn set_end(&mut self, end: LogEnd) {
        self.is_caught_up = true;
        self.end = Some(end);
    }

    /// Returns whether everything that the log had when it was opened was read.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    /// Returns how the log ended.
    pub(crate) fn end(&self) -> Option<&LogEnd> {
        self.end.as_ref()
    }

    /// Returns the place before the first entry, if that is the beginning of the
    /// log.
    pub(crate) fn beginning(&self) -> Option<RingPlace> {
        self.is_whole.then_some(RingPlace {
            item: self.first,
            entry: 0,
        })
    }

    /// Returns the position of the first entry.
    pub(crate) fn first_entry(&self) -> Option<EntryPosition> {
        let mut batches = self.batches();
        batches.find_map(|(_, batch)| batch.entry_positions().next())
    }

    /// Returns the place before the first entry.
    pub(crate) fn oldest_entry(&self) -> RingPlace {
        let first = self.batches().next();
        let item = first.map_or(self.first, |(number, _)| number);
        RingPlace { item, entry: 0 }
    }

    /// Returns the position of the last entry.
    pub(crate) fn last_entry(&self) -> Option<EntryPosition> {
        let mut batches = self.batches().rev();
        batches.find_map(|(_, batch)| batch.entry_positions().next_back())
    }

    /// Returns the place before the last `count` entries, if the ring has them all
    /// or the log does not have more.
    pub(crate) fn tail(&self, count: u64) -> Option<RingPlace> {
        let mut left = usize::try_from(count).unwrap_or(usize::MAX);
        if left > self.entries {
            return self.beginning();
        }
        for (number, batch) in self.batches().rev() {
            if batch.len() >= left {
                return Some(RingPlace {
                    item: number,
                    entry: batch.len() - left,
                });
            }
            left -= batch.len();
        }
        Some(self.newest())
    }

    /// Returns the place after the entry at `position`.
    pub(crate) fn after(&self, position: EntryPosition) -> Option<RingPlace> {
        // The entry is more likely near the end.
        for (number, batch) in self.batches().rev() {
            let from_end = batch.entry_positions().rev().position(|it| it == position);
            if let Some(from_end) = from_end {
                return Some(RingPlace {
                    item: number,
                    entry: batch.len() - from_end,
                });
            }
        }
        None
    }

    /// Returns the position after the last entry before `place`.
    pub(crate) fn position_before(&self, place: RingPlace) -> Option<LogPosition> {
        if place.entry > 0
            && let RingLookup::Item(RingItem::Batch(batch)) = self.get(place.item)
        {
            return batch.position_after(place.entry);
        }
        let before = self.batches().rev();
        let mut batches = before.filter(|(number, _)| *number < place.item);
        batches.find_map(|(_, batch)| batch.position_after(batch.len()))
    }

    /// Returns the place after the last item.
    pub(crate) fn newest(&self) -> RingPlace {
        RingPlace {
            item: self.first + self.items.len() as u64,
            entry: 0,
        }
    }

    /// Returns the item with this sequence number.
    pub(crate) fn get(&self, number: u64) -> RingLookup {
        let Some(index) = number.checked_sub(self.first) else {
            return RingLookup::Discarded;
        };
        // More items than an address can count do not exist.
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match (self.items.get(index), &self.end) {
            (Some(item), _) => RingLookup::Item(item.clone()),
            (None, Some(end)) => RingLookup::End(end.clone()),
            (None, None) => RingLookup::Pending,
        }
    }

    fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &RingItem)> {
        let numbers = (0..self.items.len()).map(|index| self.first + index as u64);
        numbers.zip(&self.items)
    }

    fn batches(&self) -> impl DoubleEndedIterator<Item = (u64, &Arc<PositionedBatch>)> {
        self.numbered().filter_map(|(number, item)| match item {
            RingItem::Batch(batch) => Some((number, batch)),
            RingItem::Gap(_) => None,
        })
    }
}

fn entry_count(item: &RingItem) -> usize {
    match item {
        RingItem::Batch(batch) => batch.len(),
        RingItem::Gap(_) => 0,
    }
}

fn memory_bytes(item: &RingItem) -> usize {
    match item {
        RingItem::Batch(batch) => batch.memory_bytes(),
        RingItem::Gap(_) => size_of::<RingItem>(),
    }
}
