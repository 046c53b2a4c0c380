//! The timestamps of log messages.

use rdd_sdk::types::Timestamp;

use crate::time;

/// The length of a timestamp as engines write it: `2006-01-02T15:04:05.000000000Z`.
const TIMESTAMP_BYTES: usize = 30;
/// The length of its seconds, with the dot.
const SECONDS_BYTES: usize = 20;
const SECOND: i64 = 1_000_000_000;

/// A parser of timestamps. The messages of a log are mostly of the same second,
/// so it parses the date only when it changes.
#[derive(Debug, Default)]
pub(super) struct EntryTimeParser {
    /// The text of the last seconds, with the dot.
    text: [u8; SECONDS_BYTES],
    /// The nanoseconds since the Unix epoch at the beginning of that second.
    nanoseconds: i64,
}

impl EntryTimeParser {
    /// Parses a timestamp to nanoseconds since the Unix epoch. Returns `None` if
    /// it is none. A time that does not fit becomes the nearest one.
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<i64> {
        if let Some((seconds, fraction)) = text.split_at_checked(SECONDS_BYTES)
            && text.len() == TIMESTAMP_BYTES
            && let Some(fraction) = fraction.strip_suffix(b"Z")
            // The initial text has no dot.
            && seconds.last() == Some(&b'.')
        {
            let mut nanoseconds = 0;
            for digit in fraction {
                let digit = digit.wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                nanoseconds = nanoseconds * 10 + i64::from(digit);
            }
            if self.text == seconds {
                return Some(self.nanoseconds.saturating_add(nanoseconds));
            }
            let time = Self::parse_slowly(text)?;
            // The nearest time of one that does not fit is none of this second.
            if time != i64::MIN
                && time != i64::MAX
                && let Some(begin) = time.checked_sub(nanoseconds)
            {
                self.nanoseconds = begin;
                self.text.copy_from_slice(seconds);
            }
            return Some(time);
        }
        Self::parse_slowly(text)
    }

    fn parse_slowly(text: &[u8]) -> Option<i64> {
        let Timestamp {
            seconds,
            nanoseconds,
        } = time::parse(str::from_utf8(text).ok()?)?;
        let time = i128::from(seconds) * i128::from(SECOND) + i128::from(nanoseconds);
        let nearest = time.clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(nearest).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_parsed_to_nanoseconds() {
        let mut parser = EntryTimeParser::default();
        let zeros = [&[0; SECONDS_BYTES], &b"000000001Z"[..]].concat();
        assert_eq!(parser.parse(&zeros), None);
        for (text, expected) in [
            (
                "2026-11-26T20:43:35.123456789Z",
                Some(1_795_725_815_123_456_789),
            ),
            (
                "2026-11-26T20:43:35.000000001Z",
                Some(1_795_725_815_000_000_001),
            ),
            (
                "2026-11-26T20:43:36.000000000Z",
                Some(1_795_725_816_000_000_000),
            ),
            (
                "2026-11-26T20:43:35.999999999Z",
                Some(1_795_725_815_999_999_999),
            ),
            ("2026-11-26T20:43:35Z", Some(1_795_725_815_000_000_000)),
            (
                "2026-11-26T21:43:35.5+01:00",
                Some(1_795_725_815_500_000_000),
            ),
            ("1969-12-31T23:59:59.500000000Z", Some(-500_000_000)),
            ("9999-12-31T23:59:59.900000000Z", Some(i64::MAX)),
            ("9999-12-31T23:59:59.000000000Z", Some(i64::MAX)),
            ("2262-04-11T23:47:16.854775807Z", Some(i64::MAX)),
            (
                "2262-04-11T23:47:16.000000000Z",
                Some(9_223_372_036_000_000_000),
            ),
            ("2262-04-11T23:47:16.999999999Z", Some(i64::MAX)),
            ("0001-01-01T00:00:00.900000000Z", Some(i64::MIN)),
            ("0001-01-01T00:00:00.000000000Z", None),
            (
                "1677-09-21T00:12:43.200000000Z",
                Some(-9_223_372_036_800_000_000),
            ),
            (
                "1677-09-21T00:12:43.300000000Z",
                Some(-9_223_372_036_700_000_000),
            ),
            ("1677-09-21T00:12:43.000000000Z", Some(i64::MIN)),
            ("2026-11-26T20:43:35.12345678xZ", None),
            ("2026-13-26T20:43:35.123456789Z", None),
            ("", None),
            ("not-a-time", None),
            ("éééééééééééééééZ", None),
        ] {
            assert_eq!(parser.parse(text.as_bytes()), expected, "{text}");
        }
    }
}
