//! The position of each entry in a log.

use std::collections::VecDeque;

use rdd_core::{EntryHeader, EntryPosition, OutputSource};

/// The number of distinct times whose counts are kept. Times that run backward are
/// those of the two sources, which cross by a few lines, and those after a clock
/// step, which hardly ever repeat a time to the nanosecond.
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
    /// Whether entries may precede the read. A time that is later than all others is
    /// new all the same: that a clock is set back and meets the same nanosecond again
    /// is not considered.
    has_earlier: bool,
    latest: Option<i64>,
    /// An entry at the beginning of the read whose position is known.
    anchor: Option<EntryPosition>,
    /// The counts of the last distinct times, in the order of their first entry.
    counts: VecDeque<TimeCount>,
    pub(super) open_lines: [Option<EntryPosition>; 2],
}

impl PositionCounter {
    /// Creates the counter of a read from the beginning of the log, or from a
    /// time: all entries with an equal time are read.
    pub(crate) fn from_beginning() -> Self {
        Self {
            has_earlier: false,
            latest: None,
            anchor: None,
            counts: VecDeque::new(),
            open_lines: [None; 2],
        }
    }

    /// Creates the counter of a read after `position`.
    pub(crate) fn after(position: LogPosition) -> Self {
        let LogPosition { last, open_lines } = position;
        let known = open_lines.into_iter().flatten().chain([last]);
        let counts = known.map(|known| TimeCount {
            time: known.time,
            count: known.index.saturating_add(1),
            is_partial: false,
            before_anchor: 0,
        });
        Self {
            has_earlier: true,
            latest: Some(last.time),
            anchor: Some(last),
            counts: counts.collect(),
            open_lines,
        }
    }

    /// Creates the counter of a read of the last lines of a log, whose first entry
    /// has this time.
    pub(crate) fn from_tail(first_time: i64) -> Self {
        Self {
            has_earlier: true,
            latest: Some(first_time),
            ..Self::from_beginning()
        }
    }

    /// Returns a time of which the log may have entries before the read, if the
    /// position after these entries depends on their number.
    /// [`set_count`](Self::set_count) then has to tell it before the entries are
    /// counted.
    pub(crate) fn uncounted_time(&self, headers: &[EntryHeader]) -> Option<i64> {
        if !self.has_earlier {
            return None;
        }
        let last_of = |source| headers.iter().rev().find(|header| header.source == source);
        let ends = [
            headers.last(),
            last_of(OutputSource::Stdout).filter(|header| header.is_partial),
            last_of(OutputSource::Stderr).filter(|header| header.is_partial),
        ];
        let mut times = ends.into_iter().flatten().map(|header| header.time);
        let is_new = |time: i64| {
            let mut latest = self.latest;
            headers.iter().any(|header| {
                let is_later = latest.is_none_or(|latest| header.time > latest);
                if is_later {
                    latest = Some(header.time);
                }
                is_later && header.time == time
            })
        };
        times.find(|time| {
            let is_open = self.open_lines.iter().flatten();
            let mut is_open = is_open.filter(|open| open.index != UNKNOWN_INDEX);
            if is_new(*time) || is_open.any(|open| open.time == *time) {
                return false;
            }
            let mut counts = self.counts.iter();
            !counts.any(|known| known.time == *time && !known.is_partial)
        })
    }

    /// Counts the next entry and returns its index among those with its time.
    pub(super) fn count(&mut self, header: &EntryHeader) -> u32 {
        let time = header.time;
        let is_new = self.latest.is_none_or(|latest| time > latest);
        let open = self.open_line(header.source, time).filter(|_| !is_new);
        let known = if is_new { None } else { self.find(time) };
        let index = match known {
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
                self.remember(TimeCount {
                    time,
                    count: index.saturating_add(1),
                    is_partial: false,
                    before_anchor: 0,
                });
                index
            }
            None => {
                let is_partial = !is_new && self.has_earlier;
                self.remember(TimeCount {
                    time,
                    count: 1,
                    is_partial,
                    before_anchor: 0,
                });
                if is_partial { UNKNOWN_INDEX } else { 0 }
            }
        };
        if is_new {
            self.latest = Some(time);
        }
        let position = EntryPosition { time, index };
        if self.has_earlier && self.anchor.is_none() && index != UNKNOWN_INDEX {
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
    pub(crate) fn anchor(&self) -> Option<EntryPosition> {
        self.anchor
    }

    /// Records that the log has `count` entries with this time before the anchor, or
    /// before the read if there is no anchor.
    pub(crate) fn set_count(&mut self, time: i64, count: u32) {
        match self.find(time) {
            Some(found) => {
                let after = found.count.saturating_sub(found.before_anchor);
                found.count = count.saturating_add(after);
                found.is_partial = false;
            }
            None => self.remember(TimeCount {
                time,
                count,
                is_partial: false,
                before_anchor: count,
            }),
        }
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

    fn find(&mut self, time: i64) -> Option<&mut TimeCount> {
        self.counts.iter_mut().rev().find(|it| it.time == time)
    }

    fn remember(&mut self, counted: TimeCount) {
        if self.counts.len() == KEPT_TIMES {
            self.counts.pop_front();
        }
        self.counts.push_back(counted);
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
        let open = [header(7, ERR, true), header(8, OUT, false)];
        assert_eq!(counter.uncounted_time(&open), Some(7));
        let counted = batch(then.to_vec(), &mut counter);
        assert_eq!(counted.position_after(1), None, "not known");
        assert_eq!(counter.anchor(), Some(entry(8, 0)));
        assert_eq!(counter.uncounted_time(&first), Some(7));
        // Three before the anchor, of which the read had one.
        counter.set_count(7, 3);
        let counted = batch(first.to_vec(), &mut counter);
        assert_eq!(counted.entry_positions().collect::<Vec<_>>(), [entry(7, 3)]);
    }
}
