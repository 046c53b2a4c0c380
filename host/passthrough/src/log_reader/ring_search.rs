//! The place in a shared stream at which a viewer continues.

use rdd_core::Timestamp;
use tokio::sync::watch;

use super::past_read::LogStart;
use crate::entries::positioned_batch::PositionedBatch;
use crate::limits;
use crate::log_hub::{LogRing, RingPlace};

/// Returns the place in the ring at which a read from `start` continues.
pub(super) fn find_place(ring: &LogRing, start: LogStart) -> Option<RingPlace> {
    match start {
        LogStart::Selected { tail: Some(0), .. } => Some(ring.newest()),
        LogStart::Selected {
            tail: Some(tail),
            since: None,
        } => ring.tail(tail),
        LogStart::Selected {
            tail: Some(_),
            since: Some(_),
        } => None,
        // Entries before `since` are left out by the selection.
        LogStart::Selected { tail: None, .. } | LogStart::After(None) => ring.beginning(),
        LogStart::After(Some(position)) => ring.after(position.last),
    }
}

/// Returns where a read from `place` begins in the engine's log; `None` if the ring
/// cannot tell.
pub(super) fn start_of(ring: &LogRing, place: RingPlace) -> Option<LogStart> {
    if let Some(position) = ring.position_before(place) {
        return Some(LogStart::After(Some(position)));
    }
    if ring.beginning() == Some(place) {
        return Some(LogStart::After(None));
    }
    // The entry before it is not in the ring.
    let first = ring.first_entry()?;
    Some(LogStart::Selected {
        tail: None,
        since: Some(Timestamp::from_unix_nanoseconds(first.time)),
    })
}

/// Returns whether the ring has not reached `start`, as far as its last entry tells.
pub(super) fn is_behind(ring: &LogRing, start: LogStart) -> bool {
    match (start, ring.last_entry()) {
        (LogStart::After(Some(position)), Some(last)) => last.time < position.last.time,
        _ => false,
    }
}

/// Returns the number of entries of a read before the first one that the ring has,
/// and the place of that one.
pub(super) fn meet(ring: &LogRing, read: &PositionedBatch) -> Option<(usize, RingPlace)> {
    let first = ring.first_entry()?;
    // Reading is cheaper than searching, and most of a long log is older.
    let last = read.batch().headers().last()?;
    if last.time < first.time {
        return None;
    }
    let count = read
        .entry_positions()
        .position(|position| position == first)?;
    Some((count, ring.oldest_entry()))
}

/// Waits until the ring has the state, or the log has ended.
pub(super) async fn wait_until(
    ring: &mut watch::Receiver<LogRing>,
    is_reached: impl Fn(&LogRing) -> bool,
) {
    let reached = ring.wait_for(|ring| is_reached(ring) || ring.end().is_some());
    // If the follower has ended, waiting does not help. If it takes too long, the
    // viewer reads from the engine what is missing.
    tokio::time::timeout(limits::ENGINE_TIMEOUT, reached)
        .await
        .ok();
}

/// Waits until the ring has the place of `start`, for a moment only.
pub(super) async fn wait_for_place(ring: &mut watch::Receiver<LogRing>, start: LogStart) {
    if !matches!(start, LogStart::After(Some(_))) {
        return;
    }
    let reached = wait_until(ring, |ring| find_place(ring, start).is_some());
    tokio::time::timeout(limits::RING_LAG_TIMEOUT, reached)
        .await
        .ok();
}
