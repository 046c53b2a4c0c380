//! Merges the lines of several logs by their times.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::line_assembler::LogLine;
use crate::logs::mux_client::{LogId, SubscriptionRef};

/// A line and where it comes from.
#[derive(Debug)]
pub(crate) struct QueuedLine {
    pub(crate) log: LogId,
    pub(crate) line: LogLine,
    /// The subscription that is credited for the line.
    pub(crate) subscription: Option<SubscriptionRef>,
}

/// The lines that wait for earlier ones of other logs. Within a log, the order is
/// that of the engine, also where its times run backward.
#[derive(Default)]
pub(crate) struct TimeMerge {
    logs: HashMap<LogId, LogQueue>,
    /// The first line of each log that has one, by its time.
    first_lines: BTreeSet<(i64, LogId)>,
    /// The logs that have no line and have not ended.
    awaited: usize,
}

#[derive(Default)]
struct LogQueue {
    lines: VecDeque<(i64, QueuedLine)>,
    /// The latest time so far, before which no later line is placed.
    latest: Option<i64>,
    has_ended: bool,
}

impl TimeMerge {
    /// Adds a log, without whose lines no others are ready.
    pub(crate) fn add_log(&mut self, log: LogId) {
        self.logs.entry(log).or_insert_with(|| {
            self.awaited += 1;
            LogQueue::default()
        });
    }

    /// Adds a line of a log.
    pub(crate) fn push(&mut self, line: QueuedLine) {
        let log = LogId::clone(&line.log);
        self.add_log(LogId::clone(&log));
        let Some(queue) = self.logs.get_mut(&log) else {
            return;
        };
        let time = queue
            .latest
            .map_or(line.line.time, |latest| latest.max(line.line.time));
        queue.latest = Some(time);
        if queue.lines.is_empty() {
            self.first_lines.insert((time, log));
            if !queue.has_ended {
                self.awaited -= 1;
            }
        }
        queue.lines.push_back((time, line));
    }

    /// Records that a log has no more lines.
    pub(crate) fn end_log(&mut self, log: &LogId) {
        if let Some(queue) = self.logs.get_mut(log)
            && !std::mem::replace(&mut queue.has_ended, true)
            && queue.lines.is_empty()
        {
            self.awaited -= 1;
        }
    }

    /// Returns the next line if no log may have an earlier one.
    pub(crate) fn pop_ready(&mut self) -> Option<QueuedLine> {
        (self.awaited == 0).then(|| self.pop_first()).flatten()
    }

    /// Returns the earliest of the lines that are there.
    pub(crate) fn pop_first(&mut self) -> Option<QueuedLine> {
        let (_, log) = self.first_lines.pop_first()?;
        let queue = self.logs.get_mut(&log)?;
        let (_, line) = queue.lines.pop_front()?;
        match queue.lines.front() {
            Some((time, _)) => {
                self.first_lines.insert((*time, log));
            }
            None if !queue.has_ended => self.awaited += 1,
            None => {}
        }
        Some(line)
    }

    /// Forgets a log, which may come again.
    pub(crate) fn forget_log(&mut self, log: &LogId) {
        self.end_log(log);
        if self.logs.get(log).is_some_and(|it| it.lines.is_empty()) {
            self.logs.remove(log);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::Bytes;

    use super::*;

    fn line(log: &str, time: i64, text: &str) -> QueuedLine {
        QueuedLine {
            log: log.into(),
            line: LogLine {
                time,
                is_stderr: false,
                bytes: Bytes::copy_from_slice(text.as_bytes()),
                cost: 0,
            },
            subscription: None,
        }
    }

    fn ready(merge: &mut TimeMerge) -> Vec<String> {
        std::iter::from_fn(|| merge.pop_ready())
            .map(|it| String::from_utf8_lossy(&it.line.bytes).into_owned())
            .collect()
    }

    #[test]
    fn a_line_waits_for_earlier_ones_of_other_logs() {
        let mut merge = TimeMerge::default();
        merge.add_log("a".into());
        merge.add_log("b".into());
        merge.push(line("a", 10, "a10"));
        merge.push(line("a", 30, "a30"));
        assert!(ready(&mut merge).is_empty());
        merge.push(line("b", 20, "b20"));
        assert_eq!(ready(&mut merge), ["a10", "b20"]);
        merge.push(line("b", 40, "b40"));
        assert_eq!(ready(&mut merge), ["a30"]);
        merge.end_log(&"a".into());
        assert_eq!(ready(&mut merge), ["b40"]);
        merge.end_log(&"b".into());
        assert!(ready(&mut merge).is_empty());
    }

    #[test]
    fn the_order_of_a_log_is_kept_where_its_times_run_backward() {
        let mut merge = TimeMerge::default();
        for (time, text) in [(10, "1"), (5, "2"), (12, "3")] {
            merge.push(line("a", time, text));
        }
        merge.push(line("b", 11, "b"));
        merge.end_log(&"a".into());
        merge.end_log(&"b".into());
        assert_eq!(ready(&mut merge), ["1", "2", "b", "3"]);
    }

    #[test]
    fn what_is_there_can_be_taken_without_waiting() {
        let mut merge = TimeMerge::default();
        merge.add_log("quiet".into());
        merge.push(line("a", 2, "a"));
        merge.push(line("b", 1, "b"));
        assert!(merge.pop_ready().is_none());
        let taken: Vec<_> = std::iter::from_fn(|| merge.pop_first())
            .map(|it| it.log)
            .collect();
        assert_eq!(taken, [LogId::from("b"), LogId::from("a")]);
    }

    #[test]
    fn a_log_that_is_forgotten_may_come_again() {
        let mut merge = TimeMerge::default();
        merge.push(line("a", 9, "a9"));
        assert_eq!(ready(&mut merge), ["a9"]);
        merge.forget_log(&"a".into());
        merge.push(line("b", 1, "b1"));
        assert_eq!(ready(&mut merge), ["b1"]);
        merge.push(line("a", 2, "a2"));
        merge.push(line("b", 3, "b3"));
        assert_eq!(ready(&mut merge), ["a2"], "a's next line may be before b3");
    }
}
