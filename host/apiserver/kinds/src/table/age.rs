//! Ages as kubectl displays them: `5s`, `3m20s`, `7h`, `12d`.
//!
//! Written by hand to follow upstream's `HumanDuration`, whose units and rounding `jiff` does not
//! produce.

use jiff::Timestamp;

/// The age of an object without a timestamp.
pub(crate) const UNKNOWN: &str = "<unknown>";
/// The age if the timestamp is invalid or too far in the future.
pub(crate) const INVALID: &str = "<invalid>";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// The number of seconds that a timestamp may be in the future, since another
/// machine's clock may be ahead.
const MAX_CLOCK_SKEW: i64 = 1;

/// Returns the time from `since` to `now`, with two units at most.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs();
    if seconds < -MAX_CLOCK_SKEW {
        return INVALID.into();
    }
    let seconds = seconds.max(0);
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two_units(seconds, MINUTE, 'm', 1, 's'),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two_units(seconds, HOUR, 'h', MINUTE, 'm'),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two_units(seconds, DAY, 'd', HOUR, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two_units(seconds, YEAR, 'y', DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two_units(seconds: i64, large: i64, large_unit: char, small: i64, small_unit: char) -> String {
    match (seconds / large, seconds % large / small) {
        (count, 0) => format!("{count}{large_unit}"),
        (count, rest) => format!("{count}{large_unit}{rest}{small_unit}"),
    }
}

/// Returns the age of an RFC 3339 timestamp.
pub(crate) fn age_of_timestamp(text: &str, now: Timestamp) -> String {
    if text.is_empty() || text == "null" {
        return UNKNOWN.into();
    }
    match text.parse::<Timestamp>() {
        Ok(since) => age(since, now),
        Err(_) => INVALID.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_counts_of_a_unit_have_a_second_unit() {
        let now: Timestamp = "2024-06-01T12:00:00Z".parse().unwrap();
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (4 * HOUR + 5 * MINUTE, "4h5m"),
            (8 * HOUR, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (3 * DAY + 4 * HOUR, "3d4h"),
            (8 * DAY, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (3 * YEAR + 10 * DAY, "3y10d"),
            (9 * YEAR, "9y"),
        ] {
            let since = now - jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(since, now), expected, "{seconds} s");
        }
    }

    #[test]
    fn an_invalid_timestamp_has_an_invalid_age() {
        let now = "2024-06-01T12:00:00Z".parse().unwrap();
        assert_eq!(age_of_timestamp("2024-06-01T13:00:00+02:00", now), "60m");
        assert_eq!(age_of_timestamp("", now), UNKNOWN);
        assert_eq!(age_of_timestamp("last week", now), INVALID);
    }
}
