//! Conversion between the engine's times and the contract's timestamps.

use std::time::Duration;

use jiff::civil;
use jiff::fmt::temporal::Pieces;
use rdd_sdk::types::Timestamp;

/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

/// The Unix epoch, in UTC.
const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// The zero value of Go's `time.Time`, which the engine uses for "no time":
/// `0001-01-01T00:00:00Z`.
const GO_ZERO_SECONDS: i64 = -62_135_596_800;

/// Creates a timestamp from seconds since the Unix epoch.
pub(crate) const fn from_unix_seconds(seconds: i64) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds: 0,
    }
}

/// Parses RFC 3339. Returns `None` for the zero time, an earlier time, and any
/// other text. `jiff::Timestamp` is not used, since it ends 26 hours before the
/// end of the year 9999.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let since = local.duration_since(EPOCH).as_nanos();
    let time = since - i128::from(offset.seconds()) * i128::from(SECOND);
    let time = Timestamp {
        seconds: i64::try_from(time.div_euclid(SECOND.into())).ok()?,
        nanoseconds: u32::try_from(time.rem_euclid(SECOND.into())).ok()?,
    };
    (!is_zero(time) && time.seconds >= GO_ZERO_SECONDS).then_some(time)
}

/// Returns whether this is the zero time.
pub(crate) fn is_zero(time: Timestamp) -> bool {
    time == from_unix_seconds(GO_ZERO_SECONDS)
}

/// Converts seconds since the Unix epoch. Returns `None` for 0, which engines
/// use for "unknown", and for the zero time and earlier times.
pub(crate) fn parse_seconds(seconds: i64) -> Option<Timestamp> {
    (seconds != 0 && seconds > GO_ZERO_SECONDS).then_some(from_unix_seconds(seconds))
}

/// Parses an HTTP `Date` header.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(from_unix_seconds(time.as_second()))
}

/// Adds seconds, which may be negative, saturating.
pub(crate) fn add_seconds(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp {
        seconds: time.seconds.saturating_add(seconds),
        ..time
    }
}

/// Returns the timestamp one nanosecond earlier.
pub(crate) fn just_before(time: Timestamp) -> Timestamp {
    match time.nanoseconds.checked_sub(1) {
        Some(nanoseconds) => Timestamp {
            nanoseconds,
            ..time
        },
        None => Timestamp {
            seconds: time.seconds.saturating_sub(1),
            nanoseconds: SECOND - 1,
        },
    }
}

/// Returns the time from `earlier` to `later`, or zero if `later` is earlier.
pub(crate) fn duration_between(earlier: Timestamp, later: Timestamp) -> Duration {
    let nanoseconds = |time: Timestamp| {
        i128::from(time.seconds) * i128::from(SECOND) + i128::from(time.nanoseconds)
    };
    let span = nanoseconds(later)
        .saturating_sub(nanoseconds(earlier))
        .max(0);
    let second = i128::from(SECOND);
    match (u64::try_from(span / second), u32::try_from(span % second)) {
        (Ok(seconds), Ok(nanoseconds)) => Duration::new(seconds, nanoseconds),
        _ => Duration::MAX,
    }
}

/// Formats a timestamp for the engine's query parameters: seconds, a point, and
/// nine digits for the nanoseconds after that second.
pub(crate) fn to_query(time: Timestamp) -> String {
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_year_are_parsed_with_nanoseconds() {
        assert_eq!(
            parse("2026-11-23T09:11:16.491416755Z"),
            Some(Timestamp {
                seconds: 1_795_425_076,
                nanoseconds: 491_416_755
            })
        );
        for (text, seconds) in [
            ("2026-11-23T10:11:16+01:00", 1_795_425_076),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("0001-01-01T00:00:01Z", GO_ZERO_SECONDS + 1),
            ("1066-10-14T09:00:00Z", -28_502_722_800),
            ("2262-04-11T23:47:17Z", 9_223_372_037),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(from_unix_seconds(seconds)), "{text}");
        }
        let early = parse("1969-12-31T23:59:58.25Z").unwrap();
        assert_eq!((early.seconds, early.nanoseconds), (-2, 250_000_000));
    }

    #[test]
    fn the_zero_time_and_invalid_texts_are_not_timestamps() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "0001-01-01T01:00:00+01:00",
            "0000-12-31T00:00:00Z",
            "yesterday",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse_seconds(0), None);
        assert_eq!(parse_seconds(GO_ZERO_SECONDS), None);
        assert_eq!(parse_seconds(i64::MAX), Some(from_unix_seconds(i64::MAX)));
        assert_eq!(parse_seconds(-2), Some(from_unix_seconds(-2)));
    }

    #[test]
    fn the_date_header_is_parsed() {
        assert_eq!(
            parse_http_date("Mon, 23 Nov 2026 09:33:04 GMT"),
            Some(from_unix_seconds(1_795_426_384))
        );
        assert_eq!(parse_http_date("now"), None);
    }

    #[test]
    fn query_parameters_have_nanoseconds_and_any_second() {
        let time = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        assert_eq!(to_query(time(1_795_426_384, 7)), "1795426384.000000007");
        assert_eq!(to_query(just_before(from_unix_seconds(0))), "-1.999999999");
        assert_eq!(to_query(just_before(time(5, 1))), "5.000000000");
        assert_eq!(
            to_query(from_unix_seconds(i64::MIN)),
            "-9223372036854775808.000000000"
        );
        assert_eq!(just_before(from_unix_seconds(i64::MIN)).seconds, i64::MIN);
    }

    #[test]
    fn durations_and_sums_saturate() {
        assert_eq!(
            duration_between(from_unix_seconds(5), from_unix_seconds(3)),
            Duration::ZERO
        );
        let later = Timestamp {
            seconds: 3,
            nanoseconds: 1,
        };
        assert_eq!(
            duration_between(from_unix_seconds(1), later),
            Duration::new(2, 1)
        );
        assert_eq!(
            duration_between(just_before(later), later),
            Duration::from_nanos(1)
        );
        let most = duration_between(from_unix_seconds(i64::MIN), from_unix_seconds(i64::MAX));
        assert_eq!(most, Duration::from_secs(u64::MAX));
        assert_eq!(
            add_seconds(from_unix_seconds(i64::MAX), 1),
            from_unix_seconds(i64::MAX)
        );
    }
}
