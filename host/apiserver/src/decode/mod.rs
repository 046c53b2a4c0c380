//! Request bodies: from their media type to a JSON value, with the errors that
//! strict field validation reports.

mod yaml;

pub(crate) use self::yaml::YamlError;
use crate::json::{self, DecodedBody, JsonError};
use crate::negotiate;
use crate::protobuf::{self, ProtobufError};
use crate::status::ApiError;

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
        ContentType::Json => Ok(json::parse(bytes)?),
        ContentType::Protobuf => Ok(protobuf::parse(bytes)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
