use std::sync::Arc;
use std::time::Duration;

use imbl::Vector;

use crate::options::HistoryLimits;
use crate::record::StoreEvent;

/// The newest events, whose [`EventMemo`](crate::EventMemo) is kept: as many as the
/// watchers of a busy server are apart from each other.
const MEMO_EVENTS: usize = 256;

/// The events that are kept, oldest first, and where they begin.
///
/// Invariant: every event newer than `compacted` is here, none older.
/// Cloning shares the events.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    events: Vector<LogEntry>,
    bytes: usize,
    compacted: u64,
}

#[derive(Clone, Debug)]
struct LogEntry {
    event: Arc<StoreEvent>,
    at: LogTimestamp,
}

/// Milliseconds on the monotonic clock; negative for what an earlier run wrote.
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

    /// The time from `earlier` to this moment; zero when it lies ahead.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(millis.unsigned_abs())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl EventLog {
    pub(crate) fn new(compacted: u64) -> Self {
        Self {
            events: Vector::new(),
            bytes: 0,
            compacted,
        }
    }

    /// The oldest revision that a watch may start after.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The number of kept events.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Adds the next event; revisions rise from call to call.
    pub(crate) fn push(&mut self, event: Arc<StoreEvent>, at: LogTimestamp) {
        self.bytes += event_bytes(&event);
        self.events.push_back(LogEntry { event, at });
        let old = self.events.len().checked_sub(MEMO_EVENTS + 1);
        if let Some(kept) = old.and_then(|old| self.events.get(old)) {
            kept.event.memo.disable();
        }
    }

    /// The events newer than `revision`, oldest first.
    pub(crate) fn after(&self, revision: u64) -> impl Iterator<Item = &Arc<StoreEvent>> {
        let start = self
            .events
            .binary_search_by(|kept| kept.event.revision.cmp(&revision))
            .map_or_else(|next| next, |found| found + 1);
        self.events
            .focus()
            .narrow(start..)
            .into_iter()
            .map(|kept| &kept.event)
    }

    /// Removes what the limits let go, oldest first. The newest event stays.
    pub(crate) fn evict(
        &mut self,
        limits: &HistoryLimits,
        now: LogTimestamp,
    ) -> Vec<Arc<StoreEvent>> {
        let mut evicted = Vec::new();
        while self.events.len() > 1 && self.is_over(limits, now) {
            let Some(kept) = self.events.pop_front() else {
                break;
            };
            self.bytes -= event_bytes(&kept.event);
            self.compacted = kept.event.revision;
            evicted.push(kept.event);
        }
        evicted
    }

    fn is_over(&self, limits: &HistoryLimits, now: LogTimestamp) -> bool {
        self.events.len() > limits.max_events
            || self.bytes > limits.max_bytes
            || self.next_expiry(limits).is_some_and(|expiry| expiry <= now)
    }

    /// When the oldest event becomes too old; none when age removes nothing.
    pub(crate) fn next_expiry(&self, limits: &HistoryLimits) -> Option<LogTimestamp> {
        let oldest = self.events.front()?.at;
        let spared = limits.keep_events.max(1);
        let expired = (self.events.len() > spared).then(|| oldest.after(limits.max_age));
        let settled = (self.events.len() > 1 && self.bytes > limits.steady_bytes)
            .then(|| oldest.after(limits.burst_age));
        expired.into_iter().chain(settled).min()
    }
}

/// The replaced record is not counted: it is the value of an earlier event,
/// or it was a live record until then.
fn event_bytes(event: &StoreEvent) -> usize {
    event.key.len() + event.value.len()
}
