//! Writes a followed log to its ring, and wakes the readers.
//!
//! A log that is written line by line would wake each of its readers for each line,
//! and each time costs a message, a TLS record, and a write. With a hundred readers,
//! that is what the processor does. So after an item, the next entries are gathered
//! for a pause that grows with the number of readers; a single reader never waits.
//!
//! Reading a line from a backend costs more than that, so the stream is not read
//! during the pause either, until shortly before its end: then the lines arrive in a
//! few batches. A log that is written fast is not slowed down, since its items are
//! long.

use std::cmp;
use std::sync::Arc;
use std::time::Duration;

use rdd_core::GapReason;
use tokio::sync::watch;
use tokio::time::Instant;

use super::log_ring::{LogRing, RingItem};
use crate::entries::positioned_batch::PositionedBatch;
use crate::limits;

/// The writer of a ring.
pub(super) struct RingWriter {
    /// The entries of the next item.
    gathered: Option<PositionedBatch>,
    /// The earliest time of the next item.
    next: Instant,
    /// Until when the stream is not read.
    rest: Option<Instant>,
}

impl RingWriter {
    pub(super) fn new() -> Self {
        Self {
            gathered: None,
            next: Instant::now(),
            rest: None,
        }
    }

    /// Returns until when the stream is not to be read. Then
    /// [`end_rest`](Self::end_rest) has to be called.
    pub(super) fn rest(&self) -> Option<Instant> {
        self.rest
    }

    /// Continues to read the stream.
    pub(super) fn end_rest(&mut self) {
        self.rest = None;
    }

    /// Adds entries, which reach the readers at once or at the [time](Self::due) of
    /// the next item.
    pub(super) fn add(&mut self, batch: PositionedBatch, ring: &watch::Sender<LogRing>) {
        if let Some(gathered) = &mut self.gathered
            && gathered.append(&batch).is_err()
        {
            // They do not fit.
            self.flush(ring);
        }
        if self.gathered.is_none() && batch.len() > 0 {
            self.gathered = Some(batch);
        }
        if Instant::now() >= self.next {
            self.flush(ring);
        }
    }

    /// Adds a gap, and the entries after it.
    pub(super) fn add_gap(
        &mut self,
        reason: GapReason,
        batch: PositionedBatch,
        ring: &watch::Sender<LogRing>,
    ) {
        self.write(ring, |ring| {
            ring.push(RingItem::Gap(reason));
            if batch.len() > 0 {
                ring.push(RingItem::Batch(Arc::new(batch)));
            }
        });
    }

    /// Returns when [`flush`](Self::flush) has to be called, if entries are waiting.
    pub(super) fn due(&self) -> Option<Instant> {
        self.gathered.as_ref().map(|_| self.next)
    }

    /// Writes the entries that are waiting.
    pub(super) fn flush(&mut self, ring: &watch::Sender<LogRing>) {
        if self.gathered.is_some() {
            self.write(ring, |_| {});
        }
    }

    /// Changes the ring, after the entries that are waiting.
    pub(super) fn write(
        &mut self,
        ring: &watch::Sender<LogRing>,
        change: impl FnOnce(&mut LogRing),
    ) {
        let gathered = self.gathered.take();
        let bytes = gathered.as_ref().map(|batch| batch.batch().bytes().len());
        ring.send_modify(|ring| {
            if let Some(batch) = gathered {
                ring.push(RingItem::Batch(Arc::new(batch)));
            }
            change(ring);
        });
        let (now, pause) = (Instant::now(), pause(ring.receiver_count()));
        self.next = now + pause;
        // A change without entries is no sign of a slow log.
        let is_short = bytes.is_some_and(|bytes| bytes < limits::SHORT_ITEM_BYTES);
        let rest = pause.saturating_sub(limits::READ_BEFORE_ITEM);
        self.rest = (is_short && !rest.is_zero()).then(|| now + rest);
    }
}

/// Returns the pause between the items for this number of readers.
fn pause(readers: usize) -> Duration {
    let others = u32::try_from(readers.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = limits::ITEM_PAUSE_PER_READER.saturating_mul(others);
    cmp::min(pause, limits::MAX_ITEM_PAUSE)
}

#[cfg(test)]
mod tests {
    use rdd_core::{EntryBatch, EntryHeader, OutputSource};

    use super::*;
    use crate::entries::log_position::PositionCounter;
    use crate::log_hub::RingLookup;

    fn ring(readers: usize) -> (watch::Sender<LogRing>, Vec<watch::Receiver<LogRing>>) {
        let ring = watch::Sender::new(LogRing::new(true));
        let readers = (0..readers).map(|_| ring.subscribe()).collect();
        (ring, readers)
    }

    fn batch(counter: &mut PositionCounter, time: i64, bytes: usize) -> PositionedBatch {
        let header = EntryHeader {
            time,
            length: u32::try_from(bytes).unwrap(),
            source: OutputSource::Stdout,
            is_partial: false,
        };
        let batch = EntryBatch::new(None, vec![header], vec![b'x'; bytes].into()).unwrap();
        PositionedBatch::new(batch, counter)
    }

    /// Returns the number of entries in each item.
    fn items(ring: &watch::Sender<LogRing>) -> Vec<Option<usize>> {
        let ring = ring.borrow();
        (0..ring.newest().item)
            .map(|number| match ring.get(number) {
                RingLookup::Item(RingItem::Batch(batch)) => Some(batch.len()),
                _ => None,
            })
            .collect()
    }

    /// Writes a line each millisecond for a second, and returns the number of items.
    async fn items_of_a_second(readers: usize) -> usize {
        let (ring, _readers) = ring(readers);
        let mut writer = RingWriter::new();
        let mut counter = PositionCounter::from_beginning();
        for time in 0..1000 {
            writer.add(batch(&mut counter, time, 1), &ring);
            tokio::time::advance(Duration::from_millis(1)).await;
            if writer.due().is_some_and(|due| due <= Instant::now()) {
                writer.flush(&ring);
            }
        }
        let items = items(&ring);
        assert_eq!(items.iter().flatten().sum::<usize>(), 1000, "every line");
        items.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_reader_gets_each_line_at_once_and_many_get_several_together() {
        assert_eq!(items_of_a_second(1).await, 1000);
        // The first line, and those of each pause.
        assert_eq!(items_of_a_second(21).await, 1 + 100);
        // The pause has a limit.
        assert_eq!(items_of_a_second(101).await, 1 + 20);
        assert_eq!(items_of_a_second(1001).await, 1 + 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_after_a_pause_is_written_at_once() {
        let (ring, readers) = ring(100);
        let mut writer = RingWriter::new();
        let mut counter = PositionCounter::from_beginning();
        writer.add(batch(&mut counter, 1, 1), &ring);
        assert!(readers.iter().all(|reader| reader.has_changed().unwrap()));
        assert_eq!(writer.due(), None, "nothing is waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn the_stream_rests_until_shortly_before_the_next_item_unless_items_are_long() {
        let (many, _readers) = ring(1000);
        let mut counter = PositionCounter::from_beginning();
        let mut rest_after = |bytes, ring: &watch::Sender<LogRing>| {
            let mut writer = RingWriter::new();
            writer.add(batch(&mut counter, 1, bytes), ring);
            writer.rest().map(|until| until - Instant::now())
        };
        let pause = limits::MAX_ITEM_PAUSE - limits::READ_BEFORE_ITEM;
        assert_eq!(rest_after(1, &many), Some(pause));
        assert_eq!(rest_after(limits::SHORT_ITEM_BYTES, &many), None);
        let (few, _readers) = ring(2);
        assert_eq!(rest_after(1, &few), None);
        let mut writer = RingWriter::new();
        writer.write(&many, LogRing::set_caught_up);
        assert_eq!(writer.rest(), None, "a change without entries");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_and_the_end_come_after_the_entries_that_wait() {
        let (ring, _readers) = ring(100);
        let mut writer = RingWriter::new();
        let mut counter = PositionCounter::from_beginning();
        for time in 0..3 {
            writer.add(batch(&mut counter, time, 1), &ring);
        }
        assert_eq!(items(&ring), [Some(1)]);
        let after = batch(&mut counter, 3, 1);
        writer.add_gap(GapReason::Lagged, after, &ring);
        assert_eq!(items(&ring), [Some(1), Some(2), None, Some(1)]);
        writer.add(batch(&mut counter, 4, 1), &ring);
        writer.write(&ring, LogRing::set_caught_up);
        assert_eq!(items(&ring), [Some(1), Some(2), None, Some(1), Some(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_without_entries_is_no_item() {
        let (ring, _readers) = ring(100);
        let mut writer = RingWriter::new();
        let mut counter = PositionCounter::from_beginning();
        let mut empty = || {
            let batch = EntryBatch::new(None, Vec::new(), Vec::new().into()).unwrap();
            PositionedBatch::new(batch, &mut counter)
        };
        writer.add(empty(), &ring);
        assert_eq!(writer.due(), None);
        assert_eq!(items(&ring), []);
        writer.add_gap(GapReason::Lagged, empty(), &ring);
        assert_eq!(items(&ring), [None]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_into_an_item_is_not_delayed() {
        let (ring, _readers) = ring(1000);
        let mut writer = RingWriter::new();
        let mut counter = PositionCounter::from_beginning();
        writer.add(batch(&mut counter, 0, 1), &ring);
        writer.add(batch(&mut counter, 1, EntryBatch::MAX_BYTES - 1), &ring);
        writer.add(batch(&mut counter, 2, 1), &ring);
        assert_eq!(items(&ring), [Some(1)], "they just fit");
        writer.add(batch(&mut counter, 3, 1), &ring);
        assert_eq!(items(&ring), [Some(1), Some(2)]);
        assert_eq!(writer.due(), Some(Instant::now() + limits::MAX_ITEM_PAUSE));
    }
}
