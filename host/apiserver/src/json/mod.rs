//! JSON as kube-apiserver reads and writes it, with Go's library.

mod decode;
mod encode;

use rdd_apiserver_kinds::go_json;
use serde_json::{Number, Value};

pub(crate) use self::encode::{to_pretty, write};

/// A decoded body.
#[derive(Debug)]
pub(crate) struct DecodedBody {
    pub(crate) value: Value,
    /// An error of strict field validation for each duplicate key.
    pub(crate) duplicates: Vec<String>,
}

/// A JSON document that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// Its syntax is invalid, in the words of Go.
    #[error("{0}")]
    Syntax(String),
    /// It has a number that is too large.
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    NumberRange(String),
    /// It exceeds a limit.
    #[error(transparent)]
    Limit(serde_json::Error),
}

impl JsonError {
    fn new(bytes: &[u8], error: serde_json::Error) -> Self {
        if let Some(message) = go_json::syntax_error(bytes) {
            return Self::Syntax(message);
        }
        match go_json::number_out_of_range(bytes) {
            Some(number) => Self::NumberRange(number),
            None => Self::Limit(error),
        }
    }
}

/// Parses a document.
///
/// # Errors
/// It is not JSON, or it exceeds a limit.
pub(crate) fn parse(bytes: &[u8]) -> Result<DecodedBody, JsonError> {
    decode::parse(bytes)
        .or_else(|error| match replace_lone_surrogates(bytes) {
            Some(replaced) => decode::parse(&replaced),
            None => Err(error),
        })
        .map_err(|error| JsonError::new(bytes, error))
}

/// Replaces escapes of lone surrogates by U+FFFD, as Go does; `None` if there are
/// none.
fn replace_lone_surrogates(bytes: &[u8]) -> Option<Vec<u8>> {
    let surrogate = |at: usize| -> Option<u16> {
        match bytes.get(at..at + 6)? {
            [b'\\', b'u', hex @ ..] => u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok(),
            _ => None,
        }
    };
    let (mut out, mut at, mut has_replaced) = (Vec::with_capacity(bytes.len()), 0, false);
    while let Some(&byte) = bytes.get(at) {
        let take = match surrogate(at) {
            Some(0xD800..=0xDBFF) if matches!(surrogate(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.extend_from_slice(b"\\ufffd");
                has_replaced = true;
                at += 6;
                continue;
            }
            _ if byte == b'\\' => 2,
            _ => 1,
        };
        out.extend_from_slice(
            bytes
                .get(at..(at + take).min(bytes.len()))
                .unwrap_or_default(),
        );
        at += take;
    }
    has_replaced.then_some(out)
}

/// Returns a JSON number, an integer if the value is whole and fits into an `i64`.
pub(crate) fn number_from_f64(number: f64) -> Value {
    /// 2^63, the smallest whole number that does not fit into an `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        let parsed = parse(br#"{"a":"\ud83d","b":"\ud83d\ude00"}"#)
            .unwrap()
            .value;
        assert_eq!(parsed["a"], "\u{fffd}");
        assert_eq!(parsed["b"], "\u{1f600}");
    }

    #[test]
    fn numbers_keep_64_bits_and_whole_floats_become_integers() {
        let parsed = parse(b"[1.0,1e3,9223372036854775807,9223372036854775808,-0.0,2.5]")
            .unwrap()
            .value;
        assert_eq!(
            parsed.to_string(),
            "[1,1000,9223372036854775807,9.223372036854776e+18,0,2.5]"
        );
    }

    #[test]
    fn a_duplicate_key_is_reported_with_its_path() {
        let parsed = parse(br#"{"a":[{"b":1,"b":2}],"a":3}"#).unwrap();
        assert_eq!(
            parsed.duplicates,
            ["duplicate field \"a[0].b\"", "duplicate field \"a\""]
        );
    }
}
