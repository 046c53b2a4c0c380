//! The engine's times, and the contract's.

use std::time::Duration;

use jiff::civil;
use jiff::fmt::temporal::Pieces;
use rdd_sdk::types::Timestamp;

/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

/// The Unix epoch, in UTC.
const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// Go's zero time, by which the engine says "no time":
/// `0001-01-01T00:00:00Z`.
const ZERO: i64 = -62_135_596_800;

/// A whole second.
pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp {
        seconds,
        nanoseconds: 0,
    }
}

/// Reads RFC 3339; `None` for the zero time, for what is before it, and for
/// what is no time. Not by way of `jiff::Timestamp`, which ends 26 hours
/// before the year 9999 does.
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
    (!is_zero(time) && time.seconds >= ZERO).then_some(time)
}

/// Whether the engine takes it for no time at all.
pub(crate) fn is_zero(time: Timestamp) -> bool {
    time == at(ZERO)
}

/// Seconds since 1970; `None` for 0, which engines use for "unknown", and for
/// the zero time.
pub(crate) fn from_seconds(seconds: i64) -> Option<Timestamp> {
    (seconds != 0 && seconds > ZERO).then_some(at(seconds))
}

/// The time of an HTTP `Date` header.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(at(time.as_second()))
}

/// So many seconds later; earlier, where negative.
pub(crate) fn shift(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp {
        seconds: time.seconds.saturating_add(seconds),
        ..time
    }
}

/// The moment just before.
pub(crate) fn before(time: Timestamp) -> Timestamp {
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

/// From `earlier` to `later`; zero where it is the other way round.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
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

/// As the engine takes times in a query: seconds, a point, nine digits that
/// count forward from that second.
pub(crate) fn to_query(time: Timestamp) -> String {
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond_in_each_year() {
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
            ("0001-01-01T00:00:01Z", ZERO + 1),
            ("1066-10-14T09:00:00Z", -28_502_722_800),
            ("2262-04-11T23:47:17Z", 9_223_372_037),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(at(seconds)), "{text}");
        }
        let early = parse("1969-12-31T23:59:58.25Z").unwrap();
        assert_eq!((early.seconds, early.nanoseconds), (-2, 250_000_000));
    }

    #[test]
    fn what_is_no_time_is_absent() {
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
        assert_eq!(from_seconds(0), None);
        assert_eq!(from_seconds(ZERO), None);
        assert_eq!(from_seconds(i64::MAX), Some(at(i64::MAX)));
        assert_eq!(from_seconds(-2), Some(at(-2)));
    }

    #[test]
    fn the_date_header_is_the_engines_clock() {
        assert_eq!(
            parse_http_date("Mon, 23 Nov 2026 09:33:04 GMT"),
            Some(at(1_795_426_384))
        );
        assert_eq!(parse_http_date("now"), None);
    }

    #[test]
    fn queries_carry_nanoseconds_and_any_second() {
        let time = |seconds, nanoseconds| Timestamp {
            seconds,
            nanoseconds,
        };
        assert_eq!(to_query(time(1_795_426_384, 7)), "1795426384.000000007");
        assert_eq!(to_query(before(at(0))), "-1.999999999");
        assert_eq!(to_query(before(time(5, 1))), "5.000000000");
        assert_eq!(to_query(at(i64::MIN)), "-9223372036854775808.000000000");
        assert_eq!(before(at(i64::MIN)).seconds, i64::MIN);
    }

    #[test]
    fn spans_have_no_end() {
        assert_eq!(between(at(5), at(3)), Duration::ZERO);
        let later = Timestamp {
            seconds: 3,
            nanoseconds: 1,
        };
        assert_eq!(between(at(1), later), Duration::new(2, 1));
        assert_eq!(between(before(later), later), Duration::from_nanos(1));
        let most = between(at(i64::MIN), at(i64::MAX));
        assert_eq!(most, Duration::from_secs(u64::MAX));
        assert_eq!(shift(at(i64::MAX), 1), at(i64::MAX));
    }
}
