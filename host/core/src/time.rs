//! Points in time by an engine's clock.
//!
//! `jiff::Timestamp` is not used, since it covers fewer years than engines do.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, civil};

/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;

/// The Unix epoch, in UTC.
const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A point in time by an engine's clock, in UTC, with nanosecond precision.
///
/// Like an engine, it counts seconds in 64 bits, so that it represents every
/// time that an engine or a user can specify. `jiff::Timestamp` ends 26 hours
/// before the end of the year 9999 and cannot represent
/// `9999-12-31T23:59:59Z`, which is often used for "never".
///
/// Its text format is RFC 3339:
///
/// ```
/// use rdd_core::Timestamp;
///
/// let never: Timestamp = "9999-12-31T23:59:59Z".parse()?;
/// assert_eq!(never.seconds(), 253_402_300_799);
/// assert_eq!(never.to_string(), "9999-12-31T23:59:59Z");
/// # Ok::<(), rdd_core::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    // The derived order relies on the order of these fields.
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// The zero value of Go's `time.Time`, which engines use for "no time":
    /// `0001-01-01T00:00:00Z`.
    pub const GO_ZERO: Self = Self::from_seconds(-62_135_596_800);

    /// The earliest timestamp.
    pub const MIN: Self = Self::from_seconds(i64::MIN);

    /// The latest timestamp.
    pub const MAX: Self = Self {
        seconds: i64::MAX,
        nanoseconds: SECOND - 1,
    };

    /// Creates a timestamp from seconds since the Unix epoch and nanoseconds
    /// after that second. Returns `None` for a billion nanoseconds or more.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < SECOND {
            Some(Self {
                seconds,
                nanoseconds,
            })
        } else {
            None
        }
    }

    /// Creates a timestamp from seconds since the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self {
            seconds,
            nanoseconds: 0,
        }
    }

    /// Creates a timestamp from nanoseconds since the Unix epoch, as log entries
    /// have them.
    ///
    /// ```
    /// use rdd_core::Timestamp;
    ///
    /// let time = Timestamp::from_unix_nanoseconds(-1);
    /// assert_eq!(time.to_string(), "1969-12-31T23:59:59.999999999Z");
    /// ```
    pub const fn from_unix_nanoseconds(nanoseconds: i64) -> Self {
        Self {
            seconds: nanoseconds.div_euclid(SECOND as i64),
            // Less than a second.
            nanoseconds: nanoseconds.rem_euclid(SECOND as i64) as u32,
        }
    }

    /// Returns the seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`seconds`](Self::seconds), fewer than a
    /// billion.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Adds a duration, saturating at [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    #[must_use]
    pub fn saturating_add(self, duration: SignedDuration) -> Self {
        let nanoseconds =
            i128::from(self.seconds) * i128::from(SECOND) + i128::from(self.nanoseconds);
        Self::from_nanoseconds(nanoseconds.saturating_add(duration.as_nanos()))
    }

    /// Subtracts a duration, saturating at [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    #[must_use]
    pub fn saturating_sub(self, duration: SignedDuration) -> Self {
        let nanoseconds =
            i128::from(self.seconds) * i128::from(SECOND) + i128::from(self.nanoseconds);
        Self::from_nanoseconds(nanoseconds.saturating_sub(duration.as_nanos()))
    }

    /// Returns the date and time of day in UTC, or `None` outside the years
    /// -9999 to 9999.
    pub fn to_civil(self) -> Option<civil::DateTime> {
        // Always succeeds: there are fewer than a billion nanoseconds.
        let nanoseconds = i32::try_from(self.nanoseconds).ok()?;
        EPOCH
            .checked_add(SignedDuration::new(self.seconds, nanoseconds))
            .ok()
    }

    fn from_civil(time: civil::DateTime) -> Self {
        Self::from_nanoseconds(time.duration_since(EPOCH).as_nanos())
    }

    fn from_nanoseconds(nanoseconds: i128) -> Self {
        let second = i128::from(SECOND);
        match (
            i64::try_from(nanoseconds.div_euclid(second)),
            u32::try_from(nanoseconds.rem_euclid(second)),
        ) {
            (Ok(seconds), Ok(nanoseconds)) => Self {
                seconds,
                nanoseconds,
            },
            _ if nanoseconds < 0 => Self::MIN,
            _ => Self::MAX,
        }
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        Self::from_nanoseconds(time.as_nanosecond())
    }
}

/// A text that is not an RFC 3339 timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 timestamp such as 2026-01-31T12:00:00Z")]
pub struct TimestampError(String);

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Parses RFC 3339 with any offset, such as `2026-01-31T12:00:00.5+01:00`.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let parsed = || {
            let pieces = Pieces::parse(text).ok()?;
            if pieces.time_zone_annotation().is_some() {
                return None;
            }
            let offset = pieces.to_numeric_offset()?;
            let local = Self::from_civil(pieces.date().to_datetime(pieces.time()?));
            Some(local.saturating_sub(SignedDuration::from_secs(offset.seconds().into())))
        };
        parsed().ok_or_else(|| TimestampError(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    /// Formats as RFC 3339, or as Unix seconds outside the years 0 to 9999. A
    /// precision such as `{:.9}` is the number of digits of the fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_civil() {
            Some(time) if time.year() >= 0 => {
                // The precision of `f` applies.
                fmt::Display::fmt(&time, f)?;
                f.write_str("Z")
            }
            _ => write!(f, "{}.{:09}", self.seconds, self.nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_year_of_rfc_3339_is_parsed_and_formatted() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("0001-01-01T00:00:00Z", Timestamp::GO_ZERO.seconds()),
            ("1066-10-14T09:00:00Z", -28_502_722_800),
            ("1677-09-21T00:12:43Z", -9_223_372_037),
            ("2262-04-11T23:47:17Z", 9_223_372_037),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time, Timestamp::from_seconds(seconds), "{text}");
            assert_eq!(time.to_string(), text);
        }
        let time: Timestamp = "1969-12-31T23:59:58.000000001-00:30".parse().unwrap();
        assert_eq!(time, Timestamp::new(1_798, 1).unwrap());
        assert_eq!(format!("{time:.9}"), "1970-01-01T00:29:58.000000001Z");
        assert_eq!(
            format!("{:.9}", Timestamp::from_seconds(0)),
            "1970-01-01T00:00:00.000000000Z"
        );
        let before: Timestamp = "1969-12-31T23:59:58.25Z".parse().unwrap();
        assert_eq!(before, Timestamp::new(-2, 250_000_000).unwrap());
        assert_eq!(before.to_string(), "1969-12-31T23:59:58.25Z");
    }

    #[test]
    fn other_formats_are_rejected() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-01-31T12:00:00+01:00[Europe/Berlin]",
            "10000-01-01T00:00:00Z",
            "yesterday",
        ] {
            let error = text.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert_eq!(Timestamp::new(0, SECOND), None);
    }

    #[test]
    fn timestamps_are_ordered_and_saturate() {
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        let early = Timestamp::new(-1, 5).unwrap();
        assert!(first < early && early < Timestamp::from_seconds(0) && early < last);
        let day = SignedDuration::from_hours(24);
        assert_eq!(first.saturating_sub(day), first);
        assert_eq!(last.saturating_add(day), last);
        assert_eq!(first.to_civil(), None);
        assert_eq!(last.to_string(), "9223372036854775807.999999999");
        assert_eq!(
            Timestamp::from_seconds(0).saturating_sub(SignedDuration::from_nanos(1)),
            Timestamp::new(-1, SECOND - 1).unwrap()
        );
        for nanoseconds in [-1_500_000_000, 0, 1_500_000_000] {
            let jiff = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap();
            assert_eq!(Timestamp::from(jiff).to_string(), jiff.to_string());
        }
    }
}
