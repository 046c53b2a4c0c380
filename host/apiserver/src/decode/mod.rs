//! Request bodies: media type to JSON value, with what strict validation
//! would object to.

mod json;
mod protobuf;
mod yaml;

use serde_json::{Number, Value};

use crate::status::ApiError;

/// A decoded body and the keys that it gave twice.
#[derive(Debug)]
pub(crate) struct DecodedBody {
    pub(crate) value: Value,
    /// Each as strict validation words it.
    pub(crate) duplicates: Vec<String>,
}

/// The serialisation of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    Json,
    Yaml,
    Protobuf,
}

/// Whole floating-point numbers that an `i64` holds become integers.
pub(crate) fn number_from_f64(number: f64) -> Value {
    /// 2^63, the first whole number that an `i64` does not hold.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Which syntax a `Content-Type` names; nothing for an unknown one. An absent
/// or empty type is JSON.
pub(crate) fn parse_content_type(content_type: &str) -> Option<ContentType> {
    let mut parts = content_type.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    // A parameter without a value makes the whole header unreadable.
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

/// What a body is read as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpectedKind<'k> {
    pub(crate) api_version: &'k str,
    pub(crate) kind: &'k str,
}

/// The syntax of a body that can be read here: protobuf only where the kind
/// that is expected has a message.
///
/// # Errors
/// 415 for every other one.
pub(crate) fn accepted_content_type(
    content_type: &str,
    expected: Option<ExpectedKind<'_>>,
) -> Result<ContentType, ApiError> {
    let has_message = expected
        .is_some_and(|ExpectedKind { api_version, kind }| protobuf::has_message(api_version, kind));
    match parse_content_type(content_type) {
        Some(syntax @ (ContentType::Json | ContentType::Yaml)) => Ok(syntax),
        Some(ContentType::Protobuf) if has_message => Ok(ContentType::Protobuf),
        Some(ContentType::Protobuf) | None => Err(ApiError::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml{}",
            if has_message {
                ", application/vnd.kubernetes.protobuf"
            } else {
                ""
            }
        ))),
    }
}

/// The sentence about a body that cannot be read.
pub(crate) fn unreadable(syntax: ContentType, why: &str) -> String {
    match syntax {
        ContentType::Json | ContentType::Yaml => {
            format!("couldn't get version/kind; json parse error: {why}")
        }
        ContentType::Protobuf => format!("the protobuf body cannot be read: {why}"),
    }
}

/// Parses a JSON body; the error is a sentence for the client.
pub(crate) fn parse_json(bytes: &[u8]) -> Result<DecodedBody, String> {
    let parsed = json::parse(bytes).or_else(|error| match replace_lone_surrogates(bytes) {
        Some(mended) => json::parse(&mended),
        None => Err(error),
    });
    parsed
        .map(|json::JsonDocument { value, duplicates }| DecodedBody {
            value,
            duplicates: duplicates
                .into_iter()
                .map(|path| format!("duplicate field \"{path}\""))
                .collect(),
        })
        .map_err(|error| error.to_string())
}

/// Parses a YAML body (or JSON, which is read as YAML where it is one).
pub(crate) fn parse_yaml(bytes: &[u8]) -> Result<DecodedBody, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    yaml::parse(text)
        .map(|yaml::YamlDocument { value, duplicates }| DecodedBody { value, duplicates })
}

/// Parses by syntax.
pub(crate) fn parse(syntax: ContentType, bytes: &[u8]) -> Result<DecodedBody, String> {
    match syntax {
        ContentType::Yaml => parse_yaml(bytes),
        ContentType::Json => parse_json(bytes),
        ContentType::Protobuf => protobuf::parse(bytes),
    }
}

/// Half of a surrogate pair alone stands for U+FFFD, as in Go. Nothing when
/// there is none to mend.
fn replace_lone_surrogates(bytes: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| -> Option<u16> {
        match bytes.get(at..at + 6)? {
            [b'\\', b'u', hex @ ..] => u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok(),
            _ => None,
        }
    };
    let (mut out, mut at, mut mended) = (Vec::with_capacity(bytes.len()), 0, false);
    while let Some(&byte) = bytes.get(at) {
        let take = match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.extend_from_slice(b"\\ufffd");
                mended = true;
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
    mended.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
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
    fn a_key_given_twice_is_named_with_its_path() {
        let parsed = parse_json(br#"{"a":[{"b":1,"b":2}],"a":3}"#).unwrap();
        assert_eq!(
            parsed.duplicates,
            ["duplicate field \"a[0].b\"", "duplicate field \"a\""]
        );
    }

    #[test]
    fn media_types_are_read_with_their_parameters() {
        assert_eq!(
            parse_content_type("APPLICATION/JSON; charset=utf-8"),
            Some(ContentType::Json)
        );
        assert_eq!(parse_content_type(""), Some(ContentType::Json));
        assert_eq!(parse_content_type("application/json; x"), None);
        assert_eq!(parse_content_type("*/*"), None);
    }
}
