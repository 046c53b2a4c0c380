//! The time, as tests may replace it and as objects carry it.

use std::sync::Arc;

use jiff::Timestamp;

/// Where the server reads the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The machine's own clock.
pub(crate) fn system() -> Clock {
    Arc::new(Timestamp::now)
}

/// RFC 3339 in UTC with microseconds, as leases and events have it.
pub(crate) fn rfc3339_micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// RFC 3339 in UTC with whole seconds, as `metadata` has it.
pub(crate) fn rfc3339_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
