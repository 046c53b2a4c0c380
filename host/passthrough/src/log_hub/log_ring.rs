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

#[cfg(test)]
mod tests {
    use rdd_core::{EntryBatch, EntryHeader, OutputSource};

    use super::*;
    use crate::entries::log_position::PositionCounter;

    /// Returns entries with these times, of this many bytes each.
    fn batch(times: &[i64], bytes: usize) -> RingItem {
        let header = |time: &i64| EntryHeader {
            time: *time,
            length: u32::try_from(bytes).unwrap(),
            source: OutputSource::Stdout,
            is_partial: false,
        };
        let headers = times.iter().map(header).collect();
        let content = vec![b'x'; bytes * times.len()].into();
        let batch = EntryBatch::new(None, headers, content).unwrap();
        let mut counter = PositionCounter::from_beginning();
        RingItem::Batch(Arc::new(PositionedBatch::new(batch, &mut counter)))
    }

    fn at(time: i64) -> EntryPosition {
        EntryPosition { time, index: 0 }
    }

    fn place(item: u64, entry: usize) -> Option<RingPlace> {
        Some(RingPlace { item, entry })
    }

    #[test]
    fn places_are_found_by_number_and_by_position() {
        for is_whole in [true, false] {
            let mut ring = LogRing::new(is_whole);
            ring.push(batch(&[1, 2, 3], 1));
            ring.push(RingItem::Gap(GapReason::Lagged));
            ring.push(batch(&[4, 5], 1));
            let beginning = place(0, 0).filter(|_| is_whole);
            assert_eq!(ring.beginning(), beginning);
            for (count, expected) in [
                (0, place(2, 2)),
                (1, place(2, 1)),
                (2, place(2, 0)),
                (3, place(0, 2)),
                (5, place(0, 0)),
                (6, beginning),
                (u64::MAX, beginning),
            ] {
                assert_eq!(ring.tail(count), expected, "the last {count}");
            }
            for (time, expected) in [
                (1, place(0, 1)),
                (3, place(0, 3)),
                (4, place(2, 1)),
                (5, place(2, 2)),
                (6, None),
            ] {
                assert_eq!(ring.after(at(time)), expected, "after {time}");
            }
            for (item, entry, expected) in [
                (0, 0, None),
                (0, 2, Some(2)),
                (1, 0, Some(3)),
                (2, 0, Some(3)),
                (2, 1, Some(4)),
                (3, 0, Some(5)),
            ] {
                let before = ring.position_before(RingPlace { item, entry });
                let before = before.map(|position| position.last.time);
                assert_eq!(before, expected, "before {item}, {entry}");
            }
        }
    }

    #[test]
    fn the_oldest_items_are_discarded_and_the_others_keep_their_numbers() {
        let mut ring = LogRing::new(true);
        for time in 0..100 {
            ring.push(batch(&[time], 60_000));
            let number = u64::try_from(time).unwrap();
            assert!(matches!(ring.get(number), RingLookup::Item(_)));
            assert!(matches!(ring.get(number + 1), RingLookup::Pending));
        }
        assert!(matches!(ring.get(95), RingLookup::Discarded));
        assert_eq!(ring.first_entry(), Some(at(96)));
        assert_eq!(ring.last_entry(), Some(at(99)));
        assert_eq!(ring.beginning(), None);
        assert_eq!(ring.tail(4), place(96, 0));
        assert_eq!(ring.tail(5), None);
        assert_eq!(ring.after(at(95)), None);
    }

    #[test]
    fn the_newest_item_stays_however_large_it_is() {
        let mut ring = LogRing::new(true);
        ring.max_bytes = 1;
        ring.push(batch(&[1], 1));
        ring.push(batch(&[2], 1));
        assert_eq!(ring.first_entry(), Some(at(2)));
    }

    #[test]
    fn gaps_are_limited_too() {
        let mut ring = LogRing::new(true);
        for _ in 0..limits::MAX_RING_BYTES {
            ring.push(RingItem::Gap(GapReason::Lagged));
        }
        assert!(ring.items.len() * size_of::<RingItem>() <= limits::MAX_RING_BYTES);
    }

    #[test]
    fn a_log_that_ended_is_caught_up() {
        let mut ring = LogRing::new(true);
        ring.set_end(LogEnd::Ended);
        assert!(ring.is_caught_up());
    }
}
