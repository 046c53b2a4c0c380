//! The event log: the kept history in memory, and what its compaction removes.

use std::sync::Arc;
use std::time::Duration;

use imbl::Vector;

use crate::options::HistoryLimits;
use crate::record::StoreEvent;

/// The number of newest events that keep their
/// [`EventMemo`](crate::EventMemo): about as far as the watchers of a busy
/// server are apart.
const MEMO_EVENTS: usize = 256;

/// The kept events, oldest first, and the revision at which they begin.
///
/// Invariant: it holds each event newer than `compacted_revision` and none
/// that is older. Cloning shares the events.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    entries: Vector<LogEntry>,
    bytes: usize,
    compacted_revision: u64,
}

#[derive(Clone, Debug)]
struct LogEntry {
    event: Arc<StoreEvent>,
    at: LogTimestamp,
}

/// The time of an event, in milliseconds on the monotonic clock. Negative for
/// events of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogTimestamp(i64);

impl LogTimestamp {
    pub(crate) fn new(monotonic: Duration) -> Self {
        Self(millis(monotonic))
    }

    pub(crate) fn before(self, age: Duration) -> Self {
        Self(self.0.saturating_sub(millis(age)))
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(millis(delay)))
    }

    /// Returns the time from `earlier` to this timestamp, or zero if `earlier`
    /// is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(millis.unsigned_abs())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl EventLog {
    pub(crate) fn new(compacted_revision: u64) -> Self {
        Self {
            entries: Vector::new(),
            bytes: 0,
            compacted_revision,
        }
    }

    /// Returns the oldest revision that a watch can start from.
    pub(crate) fn compacted_revision(&self) -> u64 {
        self.compacted_revision
    }

    /// Returns the number of kept events.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends an event. Its revision must be higher than all earlier ones.
    pub(crate) fn push(&mut self, event: Arc<StoreEvent>, at: LogTimestamp) {
        self.bytes += event_bytes(&event);
        self.entries.push_back(LogEntry { event, at });
        let last_without_memo = self.entries.len().checked_sub(MEMO_EVENTS + 1);
        if let Some(entry) = last_without_memo.and_then(|index| self.entries.get(index)) {
            entry.event.memo.disable();
        }
    }

    /// Returns the events newer than `revision`, oldest first.
    pub(crate) fn events_after(&self, revision: u64) -> impl Iterator<Item = &Arc<StoreEvent>> {
        let start = self
            .entries
            .binary_search_by(|entry| entry.event.revision.cmp(&revision))
            .map_or_else(|next| next, |found| found + 1);
        self.entries
            .focus()
            .narrow(start..)
            .into_iter()
            .map(|entry| &entry.event)
    }

    /// Removes the events that exceed `limits` and returns them, oldest first.
    /// The newest event always stays.
    pub(crate) fn evict(
        &mut self,
        limits: &HistoryLimits,
        now: LogTimestamp,
    ) -> Vec<Arc<StoreEvent>> {
        let mut evicted = Vec::new();
        while self.entries.len() > 1 && self.exceeds(limits, now) {
            let Some(entry) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= event_bytes(&entry.event);
            self.compacted_revision = entry.event.revision;
            evicted.push(entry.event);
        }
        evicted
    }

    fn exceeds(&self, limits: &HistoryLimits, now: LogTimestamp) -> bool {
        self.entries.len() > limits.max_events
            || self.bytes > limits.max_bytes
            || self.next_expiry(limits).is_some_and(|expiry| expiry <= now)
    }

    /// Returns when the oldest event becomes too old, or `None` if no event is
    /// removed because of its age.
    pub(crate) fn next_expiry(&self, limits: &HistoryLimits) -> Option<LogTimestamp> {
        let oldest = self.entries.front()?.at;
        let spared = limits.keep_events.max(1);
        let expired = (self.entries.len() > spared).then(|| oldest.after(limits.max_age));
        let burst_over = (self.entries.len() > 1 && self.bytes > limits.steady_bytes)
            .then(|| oldest.after(limits.burst_age));
        expired.into_iter().chain(burst_over).min()
    }
}

/// Returns the size of an event for the limits. The replaced record does not
/// count: it is the value of an earlier event, or it was a live record until
/// then.
fn event_bytes(event: &StoreEvent) -> usize {
    event.key.len() + event.value.len()
}
