//! The times that `docker logs` accepts.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// Converts a time without a zone (`2026-01-31`, `2026-01-31T12:00`) from the
/// local time zone to RFC 3339. Returns anything else unchanged; the daemon
/// rejects invalid times.
pub(crate) fn normalize_time(text: &str) -> String {
    normalize_time_in(text, &TimeZone::system())
}

fn normalize_time_in(text: &str, zone: &TimeZone) -> String {
    let civil: Option<civil::DateTime> = text.parse().ok();
    let zoned = text.parse::<Timestamp>().is_ok();
    match civil.filter(|_| !zoned && text.contains('-')) {
        Some(civil) => civil
            .to_zoned(zone.clone())
            // Out of range in the last hours of the year 9999.
            .map_or(Timestamp::MAX, |time| time.timestamp())
            .to_string(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_local_and_other_values_are_unchanged() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            normalize_time_in("2026-01-31T12:00:00", &zone),
            "2026-01-31T10:00:00Z"
        );
        assert_eq!(
            normalize_time_in("2026-01-31T12:00", &zone),
            "2026-01-31T10:00:00Z"
        );
        assert_eq!(
            normalize_time_in("2026-01-31", &zone),
            "2026-01-30T22:00:00Z"
        );
        assert_eq!(
            normalize_time_in("1066-10-14", &zone),
            "1066-10-13T22:00:00Z"
        );
        let west = TimeZone::fixed(jiff::tz::offset(-5));
        assert_eq!(
            normalize_time_in("9999-12-31", &west),
            Timestamp::MAX.to_string()
        );
        for text in [
            "-10m",
            "0",
            "9999-12-31T23:59:59Z",
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00+01:00",
            "10m",
            "1767225600.5",
            "yesterday",
        ] {
            assert_eq!(normalize_time_in(text, &zone), text);
        }
    }
}
