//! The timestamps of log messages.
//!
//! A general parser of dates takes longer than everything else that is done for a
//! line, so the usual form is compared and converted in words of eight bytes. A
//! component checks after each turn of a loop whether it must yield, so loops over
//! bytes are slow there.

use rdd_sdk::types::Timestamp;

use crate::time;

/// The length of a timestamp as engines write it: `2006-01-02T15:04:05.000000000Z`.
pub(super) const TIMESTAMP_BYTES: usize = 30;
/// The length of its seconds, with the dot.
const SECONDS_BYTES: usize = 20;
const SECOND: i64 = 1_000_000_000;

/// The text of a second, with the dot, in words that are compared at once.
type SecondText = (u64, u64, u32);

/// A parser of timestamps. The messages of a log are mostly of the same second,
/// so it parses the date only when it changes.
#[derive(Debug, Default)]
pub(super) struct EntryTimeParser {
    /// The text of the last second.
    text: SecondText,
    /// The nanoseconds since the Unix epoch at the beginning of that second.
    nanoseconds: i64,
}

impl EntryTimeParser {
    /// Parses a timestamp to nanoseconds since the Unix epoch. Returns `None` if
    /// it is none. A time that does not fit becomes the nearest one.
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<i64> {
        match text.try_into() {
            Ok(usual) => self.parse_usual(usual),
            Err(_) => Self::parse_slowly(text),
        }
    }

    /// Parses a timestamp of the usual length.
    pub(super) fn parse_usual(&mut self, text: &[u8; TIMESTAMP_BYTES]) -> Option<i64> {
        let [seconds @ .., f1, f2, f3, f4, f5, f6, f7, f8, f9, zone] = text;
        let [.., dot] = seconds;
        // The initial text has no dot.
        if *zone != b'Z' || *dot != b'.' {
            return Self::parse_slowly(text);
        }
        let eight = parse_eight_digits([*f1, *f2, *f3, *f4, *f5, *f6, *f7, *f8])?;
        let ninth = f9.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        let nanoseconds = i64::from(eight) * 10 + i64::from(ninth);
        let seconds = to_words(seconds);
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
            self.text = seconds;
        }
        Some(time)
    }

    fn parse_slowly(text: &[u8]) -> Option<i64> {
        // The parser takes a space for the `T`. Engines write none: it is the text of a
        // program, in a part of a line that has no timestamp.
        if text.contains(&b' ') {
            return None;
        }
        let Timestamp {
            seconds,
            nanoseconds,
        } = time::parse(str::from_utf8(text).ok()?)?;
        let time = i128::from(seconds) * i128::from(SECOND) + i128::from(nanoseconds);
        let nearest = time.clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(nearest).ok()
    }
}

/// Returns the text of a second in words.
fn to_words(text: &[u8; SECONDS_BYTES]) -> SecondText {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = *text;
    (
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        u32::from_le_bytes([q, r, s, t]),
    )
}

/// Parses eight decimal digits: first each byte, then pairs, then pairs of pairs.
fn parse_eight_digits(digits: [u8; 8]) -> Option<u32> {
    let text = u64::from_le_bytes(digits);
    // A digit is 0x30 to 0x39: its upper half is 3, also after 6 was added.
    let is_digits = (text & 0xf0f0_f0f0_f0f0_f0f0)
        | ((text.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4)
        == 0x3333_3333_3333_3333;
    if !is_digits {
        return None;
    }
    let ones = text & 0x0f0f_0f0f_0f0f_0f0f;
    let tens = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let hundreds = (tens * 100 + (tens >> 16)) & 0x0000_ffff_0000_ffff;
    let number = (hundreds * 10_000 + (hundreds >> 32)) & 0xffff_ffff;
    // Below 100,000,000.
    Some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_a_number_and_nothing_else_is() {
        for number in [0, 1, 9, 10, 99_999_999, 12_345_678, 87_654_321, 90_000_009] {
            let text = format!("{number:08}");
            let digits = text.as_bytes().try_into().unwrap();
            assert_eq!(parse_eight_digits(digits), Some(number));
        }
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"12345678";
                digits[place] = byte;
                let expected = str::from_utf8(&digits)
                    .ok()
                    .filter(|_| byte.is_ascii_digit())
                    .and_then(|text| text.parse().ok());
                assert_eq!(parse_eight_digits(digits), expected, "{digits:02x?}");
            }
        }
    }

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
            ("2026-11-26 20:43:35.123456789Z", None),
            ("éééééééééééééééZ", None),
        ] {
            assert_eq!(parser.parse(text.as_bytes()), expected, "{text}");
        }
    }
}
