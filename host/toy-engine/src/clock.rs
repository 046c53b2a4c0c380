//! The engine's clock, with a resolution of one millisecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdd_core::Timestamp;

const MILLISECOND: i64 = 1_000_000;

/// Returns the time in nanoseconds since the Unix epoch, rounded down to a
/// millisecond, so that equal times are common.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let milliseconds = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX / MILLISECOND);
    milliseconds.saturating_mul(MILLISECOND)
}

/// Converts a number of nanoseconds since the Unix epoch.
pub(crate) fn timestamp(nanoseconds: i64) -> Timestamp {
    let second = 1_000_000_000;
    let rest = u32::try_from(nanoseconds.rem_euclid(second)).unwrap_or(0);
    Timestamp::new(nanoseconds.div_euclid(second), rest)
        .unwrap_or(Timestamp::from_seconds(nanoseconds.div_euclid(second)))
}

/// Converts to a number of nanoseconds since the Unix epoch.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    time.seconds()
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(time.nanoseconds()))
}
