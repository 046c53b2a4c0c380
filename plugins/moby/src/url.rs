//! Paths and queries of requests. A name that is not valid for its kind of
//! object is rejected, so that no text from a caller leads to another endpoint.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rdd_sdk::types::Error;

/// The number of digits of a container's full ID.
pub(crate) const CONTAINER_ID_DIGITS: usize = 64;

/// All characters but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Validates a container's full ID.
pub(crate) fn container_id(id: &str) -> Result<&str, Error> {
    if id.len() == CONTAINER_ID_DIGITS && is_lower_hex(id) {
        return Ok(id);
    }
    Err(Error::invalid_argument(format!(
        "{id:?} is not a container ID, which has {CONTAINER_ID_DIGITS} lower-case hexadecimal digits"
    )))
}

/// Validates an image's ID, such as `sha256:…`.
pub(crate) fn image_id(id: &str) -> Result<&str, Error> {
    let is_valid = id.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !hex.is_empty()
            && is_lower_hex(hex)
    });
    if is_valid {
        return Ok(id);
    }
    Err(Error::invalid_argument(format!(
        "{id:?} is not an image ID such as sha256:…"
    )))
}

/// Validates an image's tag: a repository with an optional host and port,
/// followed by a tag or digest.
pub(crate) fn image_tag(tag: &str) -> Result<&str, Error> {
    let is_valid =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'@' | b'/');
    if tag.bytes().all(is_valid) && !has_special_segment(tag) {
        return Ok(tag);
    }
    Err(Error::invalid_argument(format!(
        "{tag:?} is not an image tag such as registry.example/name:tag"
    )))
}

/// Validates and encodes a volume's name, which may be any text with some
/// volume drivers.
pub(crate) fn volume_name(name: &str) -> Result<String, Error> {
    if has_special_segment(name) {
        return Err(Error::invalid_argument(format!(
            "{name:?} is not a volume name: it is empty, or has a path segment that is empty, \".\", or \"..\""
        )));
    }
    Ok(path_segment(name))
}

/// Encodes a text as one segment of a path.
pub(crate) fn path_segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Appends a query to a path.
pub(crate) fn with_query<V: AsRef<str>>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'static str, V)>,
) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{path}?{query}")
}

/// Returns whether a path has a segment that would be resolved or removed on
/// the way to the engine.
fn has_special_segment(path: &str) -> bool {
    path.split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_have_64_lower_case_hex_digits() {
        assert!(container_id(&"0af9".repeat(16)).is_ok());
        for id in [
            "",
            "0af9",
            &"0AF9".repeat(16),
            &"0af9".repeat(17),
            &"xxxx".repeat(16),
        ] {
            assert!(container_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn names_that_lead_to_another_path_are_rejected() {
        for tag in ["a:b", "localhost:5000/a/b:c", "a@sha256:00", "a__b/c-d:E.f"] {
            assert!(image_tag(tag).is_ok(), "{tag}");
        }
        for tag in [
            "",
            "..",
            "a/../b",
            "a//b",
            "a?force=1",
            "a b",
            "a%2e",
            "/a",
            "a/",
            "ä",
            "a#",
        ] {
            assert!(image_tag(tag).is_err(), "{tag}");
        }
        for name in ["v", "a.b_c-d", "0"] {
            assert!(volume_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/../b", "a//b", "/a"] {
            assert!(volume_name(name).is_err(), "{name}");
        }
        assert_eq!(volume_name("a/b?c%ä~").unwrap(), "a%2Fb%3Fc%25%C3%A4~");
        assert!(image_id("sha256:00ff").is_ok());
        for id in ["", "sha256:", ":00", "sha256:zz", "name", "sha256:00/../x"] {
            assert!(image_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn query_parameters_are_encoded() {
        assert_eq!(
            with_query(
                "/events",
                [("filters", r#"{"name":["^/?0a$"]}"#), ("since", "-1.5")]
            ),
            "/events?filters=%7B%22name%22%3A%5B%22%5E%2F%3F0a%24%22%5D%7D&since=-1.5"
        );
    }
}
