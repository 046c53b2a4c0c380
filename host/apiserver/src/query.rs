//! The query string, decoded once.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decoded `name=value` pairs in the order of the query string.
#[derive(Debug, Default)]
pub(crate) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Returns the first value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// Returns the first value of a parameter, which may be empty.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns all values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns a boolean parameter, as kube-apiserver parses it: false if it is
    /// absent, `0`, or `false`, otherwise true, also without a value.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

/// Decodes the percent-encoding of a path segment. Invalid escapes stay as they
/// are, and invalid UTF-8 becomes U+FFFD.
pub(crate) fn decode_segment(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_escapes_are_kept() {
        let query = QueryParams::parse(Some("a=%zz&b=%4&c=100%&d=%&e=%2&%zz=f"));
        for (name, value) in [
            ("a", "%zz"),
            ("b", "%4"),
            ("c", "100%"),
            ("d", "%"),
            ("e", "%2"),
            ("%zz", "f"),
        ] {
            assert_eq!(query.raw(name), Some(value), "{name}");
        }
        for segment in ["%zz", "%4", "100%", "%"] {
            assert_eq!(decode_segment(segment), segment);
        }
    }

    #[test]
    fn escapes_are_decoded_and_only_a_query_has_plus_signs_for_spaces() {
        let query = QueryParams::parse(Some("a+b=c%20d+%2B%ff&&e&f=1=2&=g&x=1&x=2"));
        assert_eq!(query.raw("a b"), Some("c d +\u{fffd}"));
        assert_eq!((query.raw("e"), query.get("e")), (Some(""), None));
        assert_eq!(query.raw("f"), Some("1=2"));
        assert_eq!(query.raw(""), Some("g"));
        assert_eq!(query.all("x").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(QueryParams::parse(None).raw(""), None);
        assert_eq!(decode_segment("a+b%3Ac%ff"), "a+b:c\u{fffd}");
    }
}
