//! Timestamps in the forms in which objects carry them.

use jiff::Timestamp;

/// Formats a time as RFC 3339 in UTC with microseconds, as in Leases and
/// Events.
pub(crate) fn rfc3339_micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Formats a time as RFC 3339 in UTC with whole seconds, as in `metadata`.
pub(crate) fn rfc3339_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
