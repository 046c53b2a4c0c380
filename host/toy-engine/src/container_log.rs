//! The log of one container, and its selection by the options of a read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rdd_core::{EntryBatch, EntryPosition, GapReason, OutputSource};
use tokio::sync::Notify;

/// The number of bytes that a log keeps. Later output replaces the oldest.
const MAX_LOG_BYTES: usize = 16 * 1024 * 1024;

/// What a record costs besides its bytes, so that empty lines are bounded, too.
const RECORD_OVERHEAD: usize = 64;

/// What the engine recorded at once: a line, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct LogRecord {
    pub(crate) time: i64,
    pub(crate) source: OutputSource,
    pub(crate) is_partial: bool,
    /// Without the newline.
    pub(crate) bytes: Bytes,
}

#[derive(Default)]
struct LogState {
    records: VecDeque<LogRecord>,
    /// The number of records that were discarded.
    discarded: u64,
    bytes: usize,
    /// Whether more may be written.
    is_open: bool,
}

/// The log of one container.
#[derive(Default)]
pub(crate) struct ContainerLog {
    state: Mutex<LogState>,
    pub(crate) changed: Notify,
}

/// The options of a read.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSelection {
    pub(crate) follow: bool,
    pub(crate) tail: Option<u64>,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) after: Option<EntryPosition>,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// What a read returns at once.
#[derive(Debug, Default)]
pub(crate) struct LogPart {
    pub(crate) gap: Option<GapReason>,
    pub(crate) records: Vec<LogRecord>,
    /// Whether there is more to read without waiting.
    pub(crate) has_more: bool,
    /// Whether nothing more will be written.
    pub(crate) is_over: bool,
}

impl ContainerLog {
    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records output: each line by itself, a long one in parts.
    pub(crate) fn write(&self, time: i64, source: OutputSource, bytes: &Bytes) {
        {
            let mut state = self.lock();
            let mut rest = bytes.clone();
            while !rest.is_empty() {
                let newline = rest.iter().position(|byte| *byte == b'\n');
                let line = rest.split_to(newline.unwrap_or(rest.len()));
                if newline.is_some() {
                    rest = rest.slice(1..);
                }
                state.record_line(time, source, line, newline.is_none());
            }
        }
        self.changed.notify_waiters();
    }

    /// Opens the log for a run of the container, or closes it after one.
    pub(crate) fn set_open(&self, is_open: bool) {
        self.lock().is_open = is_open;
        self.changed.notify_waiters();
    }

    /// Discards all but the last `kept` records.
    pub(crate) fn rotate(&self, kept: usize) {
        {
            let mut state = self.lock();
            while state.records.len() > kept {
                state.discard_first();
            }
        }
        self.changed.notify_waiters();
    }

    /// Returns the number of the first record to read, and whether records are
    /// missing before it.
    pub(crate) fn start(&self, selection: &LogSelection) -> (u64, Option<GapReason>) {
        let state = self.lock();
        let number = |index: usize| state.discarded + index as u64;
        if let Some(after) = selection.after {
            let found = state
                .records
                .iter()
                .enumerate()
                .filter(|(_, record)| selection.has_source(record) && record.time == after.time)
                .nth(after.index as usize);
            return match found {
                Some((index, _)) => (number(index) + 1, None),
                None if state.discarded > 0 => (number(0), Some(GapReason::Rotated)),
                None => (number(0), Some(GapReason::Replaced)),
            };
        }
        let Some(tail) = selection.tail else {
            return (number(0), None);
        };
        let Some(skipped) = tail.checked_sub(1) else {
            return (number(state.records.len()), None);
        };
        let selected = state.records.iter().enumerate().rev();
        let first = selected
            .filter(|(_, record)| selection.matches(record))
            .nth(usize::try_from(skipped).unwrap_or(usize::MAX));
        (number(first.map_or(0, |(index, _)| index)), None)
    }

    /// Returns what there is from `next` on, up to one batch, and advances
    /// `next`.
    pub(crate) fn read(&self, selection: &LogSelection, next: &mut u64) -> LogPart {
        let state = self.lock();
        let mut part = LogPart::default();
        if *next < state.discarded {
            *next = state.discarded;
            part.gap = Some(GapReason::Lagged);
        }
        let mut bytes = 0;
        let first = usize::try_from(*next - state.discarded).unwrap_or(usize::MAX);
        for record in state.records.range(first.min(state.records.len())..) {
            if selection.matches(record) {
                if bytes >= EntryBatch::MAX_BYTES || part.records.len() >= EntryBatch::MAX_ENTRIES {
                    part.has_more = true;
                    break;
                }
                bytes += record.bytes.len();
                part.records.push(record.clone());
            }
            *next += 1;
        }
        part.is_over = !state.is_open;
        part
    }
}

impl LogState {
    fn record_line(&mut self, time: i64, source: OutputSource, mut line: Bytes, is_partial: bool) {
        while line.len() > EntryBatch::MAX_BYTES {
            let bytes = line.split_to(EntryBatch::MAX_BYTES);
            self.push(LogRecord {
                time,
                source,
                is_partial: true,
                bytes,
            });
        }
        self.push(LogRecord {
            time,
            source,
            is_partial,
            bytes: line,
        });
    }

    fn push(&mut self, record: LogRecord) {
        self.bytes += record.bytes.len() + RECORD_OVERHEAD;
        self.records.push_back(record);
        while self.bytes > MAX_LOG_BYTES {
            self.discard_first();
        }
    }

    fn discard_first(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.bytes.len() + RECORD_OVERHEAD;
            self.discarded += 1;
        }
    }
}

impl LogSelection {
    fn has_source(&self, record: &LogRecord) -> bool {
        match record.source {
            OutputSource::Stdout => self.stdout,
            OutputSource::Stderr => self.stderr,
        }
    }

    fn matches(&self, record: &LogRecord) -> bool {
        self.has_source(record)
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
    }
}
