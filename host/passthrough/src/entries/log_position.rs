//! The position of each entry in a log.

use std::collections::VecDeque;

use rdd_core::{EntryHeader, EntryPosition, OutputSource};

/// The number of distinct times whose counts are kept. Times that run backward are
/// those of the two sources, which cross by a few lines, those of the rest of a long
/// line, and those after a clock step, which hardly ever repeat a time to the
/// nanosecond.
const KEPT_TIMES: usize = 1024;

/// A position between two entries: that after an entry.
///
/// The engine's order counts, never the time, and an entry is found again by its
/// time and the number of entries with the same time before it. The rest of a long
/// line has the time of its first part, which may be older than that of any line
/// of the other source in between, so the lines that are not complete belong to
/// the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogPosition {
    /// The last entry before the position.
    pub(crate) last: EntryPosition,
    /// The last part of an incomplete line of standard output and of standard
    /// error, if it is not `last`.
    pub(crate) open_lines: [Option<EntryPosition>; 2],
}

/// The number of entries with one time.
#[derive(Clone, Copy, Debug)]
struct TimeCount {
    time: i64,
    count: u32,
    /// Whether there may be more of them, before the read.
    is_partial: bool,
    /// How many of them were read before the anchor.
    before_anchor: u32,
}

/// The index of an entry whose position is not known.
pub(super) const UNKNOWN_INDEX: u32 = u32::MAX;

/// A counter that finds the position of each entry of a read, which must begin at
/// a known place of the log and select both sources.
#[derive(Clone, Debug)]
pub(crate) struct PositionCounter {
    /// The latest time that an entry before the read is expected to have; `None` if
    /// no entry precedes the read. A later time is new: the times of the two sources
    /// cross, but they do not cross and meet at the same nanosecond.
    horizon: Option<i64>,
    /// The time of the first entry of each source, if that entry may be the rest of
    /// a line whose first part precedes the read. Then its time is not new, however
    /// late it is.
    first_times: Option<[Option<i64>; 2]>,
    /// An entry at the beginning of the read whose position is known.
    anchor: Option<EntryPosition>,
    /// The counts of the last distinct times, in the order of their first entry.
    counts: VecDeque<TimeCount>,
    /// The latest time that was ever among `counts`. The times of a log mostly run
    /// forward, and a later one need not be searched for.
    latest_time: Option<i64>,
    pub(super) open_lines: [Option<EntryPosition>; 2],
}

impl PositionCounter {
    /// Creates the counter of a read from the beginning of the log, or from a
    /// time: all entries with an equal time are read.
    pub(crate) fn from_beginning() -> Self {
        Self {
            horizon: None,
            first_times: None,
            anchor: None,
            counts: VecDeque::new(),
            latest_time: None,
            open_lines: [None; 2],
        }
    }

    /// Creates the counter of a read after `position`.
    pub(crate) fn after(position: LogPosition) -> Self {
        let LogPosition { last, open_lines } = position;
        let known = open_lines.into_iter().flatten().chain([last]);
        let mut counter = Self {
            horizon: Some(last.time),
            first_times: None,
            anchor: Some(last),
            counts: VecDeque::new(),
            latest_time: None,
            open_lines,
        };
        for known in known {
            counter.remember(known.time, known.index.saturating_add(1), false, 0);
        }
        counter
    }

    /// Creates the counter of a read of the last lines of a log, whose first entry
    /// has this time.
    pub(crate) fn from_tail(first_time: i64) -> Self {
        Self {
            horizon: Some(first_time),
            first_times: Some([None; 2]),
            ..Self::from_beginning()
        }
    }

    /// Returns a time of which the log may have entries before the read, if the
    /// position after these entries depends on their number.
    /// [`set_count`](Self::set_count) then has to tell it before the entries are
    /// counted.
    pub(crate) fn uncounted_time(&self, headers: &[EntryHeader]) -> Option<i64> {
        self.horizon?;
        let last_of = |source| headers.iter().rev().find(|header| header.source == source);
        let ends = [
            headers.last(),
            last_of(OutputSource::Stdout).filter(|header| header.is_partial),
            last_of(OutputSource::Stderr).filter(|header| header.is_partial),
        ];
        let first_times = self.first_times_with(headers);
        let mut times = ends.into_iter().flatten().map(|header| header.time);
        times.find(|time| match self.find(*time) {
            Some(found) => found.is_partial,
            None => {
                let mut open = self.open_lines.iter().flatten();
                !open.any(|open| open.time == *time && open.index != UNKNOWN_INDEX)
                    && !self.is_new(*time, first_times)
            }
        })
    }

    /// Returns the number of the first entry whose position will be known without a
    /// count, and its position.
    pub(crate) fn first_known(&self, headers: &[EntryHeader]) -> Option<(usize, EntryPosition)> {
        let first_times = self.first_times_with(headers);
        let is_known = |time| self.find(time).is_none() && self.is_new(time, first_times);
        let number = headers.iter().position(|header| is_known(header.time))?;
        let time = headers.get(number)?.time;
        Some((number, EntryPosition { time, index: 0 }))
    }

    /// Counts the next entry and returns its index among those with its time.
    pub(crate) fn count(&mut self, header: &EntryHeader) -> u32 {
        let time = header.time;
        self.first_times = self.first_times_with(std::slice::from_ref(header));
        let is_new = self.is_new(time, self.first_times);
        let open = self.open_line(header.source, time);
        let index = match self.find_mut(time) {
            Some(found) => {
                let index = found.count;
                found.count = index.saturating_add(1);
                if found.is_partial {
                    UNKNOWN_INDEX
                } else {
                    index
                }
            }
            // The rest of a line that began many lines of the other source ago.
            None if let Some(open) = open => {
                let index = open.index.saturating_add(1);
                self.remember(time, index.saturating_add(1), false, 0);
                index
            }
            None => {
                self.remember(time, 1, !is_new, 0);
                if is_new { 0 } else { UNKNOWN_INDEX }
            }
        };
        let position = EntryPosition { time, index };
        if self.horizon.is_some() && self.anchor.is_none() && index != UNKNOWN_INDEX {
            self.anchor = Some(position);
            for counted in &mut self.counts {
                counted.before_anchor = counted.count;
            }
        }
        let [stdout, stderr] = &mut self.open_lines;
        let open = match header.source {
            OutputSource::Stdout => stdout,
            OutputSource::Stderr => stderr,
        };
        *open = header.is_partial.then_some(position);
        index
    }

    /// Returns an entry of this read whose position is known, or the one before the
    /// read.
    pub(super) fn anchor(&self) -> Option<EntryPosition> {
        self.anchor
    }

    /// Returns the number of entries with this time that were counted since the
    /// anchor.
    pub(super) fn count_since_anchor(&self, time: i64) -> u32 {
        self.find(time)
            .map_or(0, |found| found.count.saturating_sub(found.before_anchor))
    }

    /// Records that the log has `count` entries with this time before the next entry.
    pub(crate) fn set_count(&mut self, time: i64, count: u32) {
        match self.find_mut(time) {
            Some(found) => {
                let since_anchor = found.count.saturating_sub(found.before_anchor);
                found.before_anchor = count.saturating_sub(since_anchor);
                found.count = count;
                found.is_partial = false;
            }
            None => self.remember(time, count, false, count),
        }
    }

    /// Returns whether no entry before the read can have this time.
    fn is_new(&self, time: i64, first_times: Option<[Option<i64>; 2]>) -> bool {
        let may_continue = first_times.is_some_and(|times| times.contains(&Some(time)));
        self.horizon.is_none_or(|horizon| time > horizon) && !may_continue
    }

    /// Returns the times of the first entries of the sources after the next entries.
    fn first_times_with(&self, next: &[EntryHeader]) -> Option<[Option<i64>; 2]> {
        let [stdout, stderr] = self.first_times?;
        let first_of = |source| {
            let first = next.iter().find(|header| header.source == source);
            first.map(|header| header.time)
        };
        Some([
            stdout.or_else(|| first_of(OutputSource::Stdout)),
            stderr.or_else(|| first_of(OutputSource::Stderr)),
        ])
    }

    /// Returns the last part of the incomplete line of a source, if it has this time
    /// and its position is known.
    fn open_line(&self, source: OutputSource, time: i64) -> Option<EntryPosition> {
        let [stdout, stderr] = self.open_lines;
        let open = match source {
            OutputSource::Stdout => stdout,
            OutputSource::Stderr => stderr,
        };
        open.filter(|open| open.time == time && open.index != UNKNOWN_INDEX)
    }

    fn find(&self, time: i64) -> Option<&TimeCount> {
        if self.latest_time < Some(time) {
            return None;
        }
        self.counts.iter().rev().find(|it| it.time == time)
    }

    fn find_mut(&mut self, time: i64) -> Option<&mut TimeCount> {
        if self.latest_time < Some(time) {
            return None;
        }
        self.counts.iter_mut().rev().find(|it| it.time == time)
    }

    fn remember(&mut self, time: i64, count: u32, is_partial: bool, before_anchor: u32) {
        if self.counts.len() == KEPT_TIMES {
            self.counts.pop_front();
        }
        self.latest_time = self.latest_time.max(Some(time));
        self.counts.push_back(TimeCount {
            time,
            count,
            is_partial,
            before_anchor,
        });
    }
}

#[cfg(test)]
mod tests {
    use rdd_core::EntryBatch;

    use super::*;
    use crate::entries::positioned_batch::PositionedBatch;

    const OUT: OutputSource = OutputSource::Stdout;
    const ERR: OutputSource = OutputSource::Stderr;

    fn header(time: i64, source: OutputSource, is_partial: bool) -> EntryHeader {
        EntryHeader {
            time,
            length: 0,
            source,
            is_partial,
        }
    }

    fn batch(headers: Vec<EntryHeader>, counter: &mut PositionCounter) -> PositionedBatch {
        let batch = EntryBatch::new(None, headers, Vec::new().into()).unwrap();
        PositionedBatch::new(batch, counter)
    }

    fn entry(time: i64, index: u32) -> EntryPosition {
        EntryPosition { time, index }
    }

    #[test]
    fn the_rest_of_a_line_is_counted_however_many_lines_of_the_other_source_are_between() {
        for between in [1, 3 * KEPT_TIMES as i64] {
            let mut counter = PositionCounter::from_beginning();
            batch(
                vec![header(0, OUT, false), header(0, OUT, true)],
                &mut counter,
            );
            let others = (1..=between).map(|time| header(time, ERR, false));
            batch(others.collect(), &mut counter);
            assert_eq!(counter.uncounted_time(&[header(0, OUT, false)]), None);
            let rest = batch(vec![header(0, OUT, false)], &mut counter);
            assert_eq!(rest.entry_positions().collect::<Vec<_>>(), [entry(0, 2)]);
        }
    }

    #[test]
    fn a_position_has_the_incomplete_lines_that_are_not_its_own() {
        let mut counter = PositionCounter::from_beginning();
        let headers = vec![
            header(5, OUT, true),
            header(6, ERR, true),
            header(5, OUT, false),
            header(6, ERR, false),
        ];
        let batch = batch(headers, &mut counter);
        let position = |last, stdout, stderr| {
            Some(LogPosition {
                last,
                open_lines: [stdout, stderr],
            })
        };
        assert_eq!(batch.position_after(0), None);
        assert_eq!(batch.position_after(1), position(entry(5, 0), None, None));
        let open = Some(entry(5, 0));
        assert_eq!(batch.position_after(2), position(entry(6, 0), open, None));
        let open = Some(entry(6, 0));
        assert_eq!(batch.position_after(3), position(entry(5, 1), None, open));
        assert_eq!(batch.position_after(4), position(entry(6, 1), None, None));
    }

    #[test]
    fn a_time_that_may_precede_the_read_has_to_be_counted_where_a_batch_ends() {
        let mut counter = PositionCounter::from_tail(7);
        let first = [header(7, OUT, false)];
        let then = [header(7, OUT, false), header(8, OUT, false)];
        assert_eq!(counter.uncounted_time(&first), Some(7));
        assert_eq!(counter.uncounted_time(&then), None, "a later time is new");
        // A line that is not complete belongs to the position, too.
        let open = [
            header(7, ERR, true),
            header(7, OUT, false),
            header(8, OUT, false),
        ];
        assert_eq!(counter.uncounted_time(&open), Some(7));
        let counted = batch(then.to_vec(), &mut counter);
        assert_eq!(counted.position_after(1), None, "not known");
        assert_eq!(counter.anchor(), Some(entry(8, 0)));
        assert_eq!(counter.uncounted_time(&first), Some(7));
        assert_eq!(counter.count_since_anchor(7), 0);
        counter.set_count(7, 3);
        let counted = batch(first.to_vec(), &mut counter);
        assert_eq!(counted.entry_positions().collect::<Vec<_>>(), [entry(7, 3)]);
        assert_eq!(counter.count_since_anchor(7), 1);
    }

    /// The first entry of a source may be the rest of a line, whose other parts have
    /// the same time.
    #[test]
    fn the_time_of_the_first_entry_of_each_source_has_to_be_counted() {
        let mut counter = PositionCounter::from_tail(7);
        let rest = [header(7, OUT, false), header(8, ERR, false)];
        assert_eq!(counter.uncounted_time(&rest), Some(8));
        assert_eq!(counter.first_known(&rest), None);
        let later = [rest[0], rest[1], header(9, ERR, false)];
        assert_eq!(counter.uncounted_time(&later), None);
        assert_eq!(counter.first_known(&later), Some((2, entry(9, 0))));
        counter.set_count(8, 2);
        let counted = batch(rest.to_vec(), &mut counter);
        assert_eq!(counted.entry_positions().last(), Some(entry(8, 2)));
    }
}
