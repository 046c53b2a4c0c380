//! Request bodies: from their media type to a JSON value, with the errors that
//! strict field validation reports.

mod json;
mod yaml;

use rdd_apiserver_kinds::go_json;
use serde_json::{Number, Value};

pub(crate) use self::yaml::YamlError;
use crate::negotiate;
use crate::protobuf::{self, ProtobufError};
use crate::status::ApiError;

/// A decoded body.
#[derive(Debug)]
pub(crate) struct DecodedBody {
    pub(crate) value: Value,
    /// An error of strict field validation for each duplicate key.
    pub(crate) duplicates: Vec<String>,
}

/// Returns the message of an object that fails strict field validation. go-yaml
/// reports all duplicate keys as one error; as warnings, they come one by one.
pub(crate) fn strict_message(errors: &[String]) -> String {
    let is_yaml_key =
        |error: &str| error.starts_with("line ") && error.ends_with(yaml::DUPLICATE_KEY);
    let (keys, others): (Vec<&str>, Vec<&str>) = errors
        .iter()
        .map(String::as_str)
        .partition(|error| is_yaml_key(error));
    let keys = match keys.as_slice() {
        [] => None,
        keys => Some(format!("yaml: unmarshal errors:\n  {}", keys.join("\n  "))),
    };
    let parts: Vec<&str> = keys.as_deref().into_iter().chain(others).collect();
    format!("strict decoding error: {}", parts.join(", "))
}

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    Json,
    Yaml,
    Protobuf,
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

/// Parses a `Content-Type` header; `None` for an unknown type. An empty one is
/// JSON.
pub(crate) fn parse_content_type(content_type: &str) -> Option<ContentType> {
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    // A parameter without a value makes the whole header invalid.
    if parts.any(|part| !part.trim().is_empty() && !part.contains('=')) {
        return None;
    }
    match media.as_str() {
        "" | "application/json" => Some(ContentType::Json),
        "application/yaml" => Some(ContentType::Yaml),
        "application/vnd.kubernetes.protobuf" => Some(ContentType::Protobuf),
        _ => None,
    }
}

/// The kind that a body is decoded as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpectedKind<'k> {
    pub(crate) api_version: &'k str,
    pub(crate) kind: &'k str,
}

/// Parses a `Content-Type` header and accepts what can be decoded: protobuf only
/// if the expected kind has a message.
///
/// # Errors
/// 415 for every other type.
pub(crate) fn accepted_content_type(
    content_type: &str,
    expected: Option<ExpectedKind<'_>>,
) -> Result<ContentType, ApiError> {
    let has_message = expected
        .is_some_and(|ExpectedKind { api_version, kind }| protobuf::has_message(api_version, kind));
    match parse_content_type(content_type) {
        Some(accepted @ (ContentType::Json | ContentType::Yaml)) => Ok(accepted),
        Some(ContentType::Protobuf) if has_message => Ok(ContentType::Protobuf),
        Some(ContentType::Protobuf) | None => Err(ApiError::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            negotiate::MEDIA_TYPES
        ))),
    }
}

/// Returns the message for a body whose type cannot be determined.
pub(crate) fn unreadable_type(reason: &str) -> String {
    format!("couldn't get version/kind; json parse error: {reason}")
}

/// Returns the message for a body that cannot be decoded.
pub(crate) fn unreadable(error: &DecodeError) -> String {
    match error {
        DecodeError::Json(error) => unreadable_type(&error.to_string()),
        DecodeError::Yaml(error) => error.to_string(),
        DecodeError::Protobuf(error) => format!("the protobuf body cannot be read: {error}"),
    }
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

/// A body that cannot be decoded. Its text is part of a `Status`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A JSON body.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A YAML body.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A protobuf body.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
}

/// Parses a JSON body.
///
/// # Errors
/// The body is not JSON, or it exceeds a limit.
pub(crate) fn parse_json(bytes: &[u8]) -> Result<DecodedBody, JsonError> {
    json::parse(bytes)
        .or_else(|error| match replace_lone_surrogates(bytes) {
            Some(replaced) => json::parse(&replaced),
            None => Err(error),
        })
        .map_err(|error| JsonError::new(bytes, error))
}

/// Parses a YAML body, which may be JSON.
///
/// # Errors
/// The body is not YAML, exceeds a limit, or has no JSON form.
pub(crate) fn parse_yaml(bytes: &[u8]) -> Result<DecodedBody, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| YamlError::Encoding)?;
    yaml::parse(text)
}

/// Parses a body.
///
/// # Errors
/// See [`DecodeError`].
pub(crate) fn parse(content_type: ContentType, bytes: &[u8]) -> Result<DecodedBody, DecodeError> {
    match content_type {
        ContentType::Yaml => Ok(parse_yaml(bytes)?),
        ContentType::Json => Ok(parse_json(bytes)?),
        ContentType::Protobuf => Ok(protobuf::parse(bytes)?),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        let parsed = parse_json(br#"{"a":"\ud83d","b":"\ud83d\ude00"}"#)
            .unwrap()
            .value;
        assert_eq!(parsed["a"], "\u{fffd}");
        assert_eq!(parsed["b"], "\u{1f600}");
    }

    #[test]
    fn numbers_keep_64_bits_and_whole_floats_become_integers() {
        let parsed = parse_json(b"[1.0,1e3,9223372036854775807,9223372036854775808,-0.0,2.5]")
            .unwrap()
            .value;
        assert_eq!(
            parsed.to_string(),
            "[1,1000,9223372036854775807,9.223372036854776e+18,0,2.5]"
        );
    }

    #[test]
    fn a_duplicate_key_is_reported_with_its_path() {
        let parsed = parse_json(br#"{"a":[{"b":1,"b":2}],"a":3}"#).unwrap();
        assert_eq!(
            parsed.duplicates,
            ["duplicate field \"a[0].b\"", "duplicate field \"a\""]
        );
    }

    #[test]
    fn media_types_are_parsed_with_their_parameters() {
        assert_eq!(
            parse_content_type("APPLICATION/JSON; charset=utf-8"),
            Some(ContentType::Json)
        );
        assert_eq!(parse_content_type(""), Some(ContentType::Json));
        assert_eq!(parse_content_type("application/json; x"), None);
        assert_eq!(parse_content_type("*/*"), None);
    }
}
