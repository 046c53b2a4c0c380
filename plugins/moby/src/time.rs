//! The engine's times, and the contract's.

use rdd_sdk::types::Timestamp;

/// Go's zero time is in year 1; whatever is before this is no time at all.
const FIRST_YEAR: i16 = 2;

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// RFC 3339 to nanoseconds since 1970; `None` for the zero time, for what is
/// no time, and for what the contract cannot carry (before 1677, after 2262).
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    if time.to_zoned(jiff::tz::TimeZone::UTC).year() < FIRST_YEAR {
        return None;
    }
    Timestamp::try_from(time.as_nanosecond()).ok()
}

/// Seconds since 1970; `None` for 0, which engines use for "unknown".
pub(crate) fn from_seconds(seconds: i64) -> Option<Timestamp> {
    (seconds != 0)
        .then(|| seconds.checked_mul(SECOND))
        .flatten()
}

/// The time of an HTTP `Date` header.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Timestamp::try_from(time.as_nanosecond()).ok()
}

/// As the engine takes times in a query: seconds, a point, nine digits. A
/// time before 1970, which engines refuse, becomes 1970.
pub(crate) fn to_query(time: Timestamp) -> String {
    let time = time.max(0);
    format!("{}.{:09}", time / SECOND, time % SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        assert_eq!(
            parse("2026-11-23T09:11:16.491416755Z"),
            Some(1_795_425_076_491_416_755)
        );
        assert_eq!(
            parse("2026-11-23T10:11:16+01:00"),
            Some(1_795_425_076 * SECOND)
        );
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("1969-12-31T23:59:59Z"), Some(-SECOND));
    }

    #[test]
    fn what_is_no_time_is_absent() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "0001-01-01T01:00:00+01:00",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(from_seconds(0), None);
        assert_eq!(from_seconds(i64::MAX), None);
        assert_eq!(from_seconds(2), Some(2 * SECOND));
    }

    #[test]
    fn the_date_header_is_the_engines_clock() {
        assert_eq!(
            parse_http_date("Mon, 23 Nov 2026 09:33:04 GMT"),
            Some(1_795_426_384 * SECOND)
        );
        assert_eq!(parse_http_date("now"), None);
    }

    #[test]
    fn queries_carry_nanoseconds() {
        assert_eq!(to_query(1_795_426_384_000_000_007), "1795426384.000000007");
        assert_eq!(to_query(-1), "0.000000000");
    }
}
