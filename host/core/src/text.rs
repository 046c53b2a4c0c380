//! Validation and truncation of short texts: names, IDs, and the inputs that
//! error messages quote.

/// The maximum length of a DNS label in bytes (RFC 1123).
pub const MAX_DNS_LABEL: usize = 63;

/// Returns the longest prefix of `text` that has at most `max_bytes` bytes and
/// ends at a character boundary.
///
/// ```
/// assert_eq!(rdd_core::text::truncate("grün", 3), "gr");
/// assert_eq!(rdd_core::text::truncate("grün", 9), "grün");
/// ```
pub fn truncate(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes))
        .unwrap_or(text)
}

/// Quotes and escapes `text` for an error message. If it has more than
/// `max_bytes` bytes, it is truncated and `…` is appended.
///
/// ```
/// assert_eq!(rdd_core::text::quote("a\nb", 80), r#""a\nb""#);
/// assert_eq!(rdd_core::text::quote("abcdef", 3), r#""abc"…"#);
/// ```
pub fn quote(text: &str, max_bytes: usize) -> String {
    let prefix = truncate(text, max_bytes);
    let more = if prefix.len() < text.len() { "…" } else { "" };
    format!("{prefix:?}{more}")
}

/// Returns whether `text` is a DNS label: at most [`MAX_DNS_LABEL`] lower-case
/// letters, digits, and `-`, with a letter or digit at each end.
///
/// ```
/// assert!(rdd_core::text::is_dns_label("0-moby"));
/// assert!(!rdd_core::text::is_dns_label("moby-"));
/// ```
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= MAX_DNS_LABEL && is_label_of_any_length(text)
}

/// Returns whether `text` is a DNS subdomain, the format of a Kubernetes
/// object's name: labels joined by `.`, at most 253 bytes. As in Kubernetes, a single label
/// may be longer than [`MAX_DNS_LABEL`].
///
/// ```
/// assert!(rdd_core::text::is_dns_subdomain("a.b-c"));
/// assert!(!rdd_core::text::is_dns_subdomain("a..b"));
/// ```
pub fn is_dns_subdomain(text: &str) -> bool {
    const MAX: usize = 253;
    text.len() <= MAX && text.split('.').all(is_label_of_any_length)
}

/// Returns whether `text` is a letter or digit followed by letters, digits,
/// `_`, `.`, or `-`, at most `max_bytes` bytes in total.
///
/// ```
/// assert!(rdd_core::text::is_identifier("Web_1.old-x", 16));
/// assert!(!rdd_core::text::is_identifier(".hidden", 16));
/// ```
pub fn is_identifier(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Returns whether `text` consists of exactly `digits` lower-case hexadecimal
/// digits.
///
/// ```
/// assert!(rdd_core::text::is_lower_hex("00ff", 4));
/// assert!(!rdd_core::text::is_lower_hex("00FF", 4));
/// ```
pub fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_label_of_any_length(label: &str) -> bool {
    let is_alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|b| is_alphanumeric(b) || *b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_limits_are_inclusive() {
        let label = "a".repeat(MAX_DNS_LABEL);
        assert!(is_dns_label(&label));
        assert!(!is_dns_label(&format!("{label}a")));
        assert!(is_dns_subdomain(&"a".repeat(253)));
        assert!(!is_dns_subdomain(&"a".repeat(254)));
        assert!(is_identifier("abc", 3) && !is_identifier("abcd", 3));
        assert!(!is_lower_hex("abc", 4) && !is_lower_hex("abcde", 4));
    }

    #[test]
    fn empty_texts_and_invalid_characters_are_rejected() {
        for bad in ["", "-a", "a-", "A", "ä", "a_b", "a/b"] {
            assert!(!is_dns_label(bad), "{bad}");
            assert!(!is_dns_subdomain(bad), "{bad}");
        }
        for bad in ["", "-a", "_a", "ä", "a/b", "a b"] {
            assert!(!is_identifier(bad, 80), "{bad}");
        }
        assert!(is_lower_hex("", 0));
        assert!(!is_lower_hex("0g", 2));
    }

    #[test]
    fn truncation_never_splits_a_character() {
        assert_eq!(truncate("aü", 2), "a");
        assert_eq!(truncate("aü", 3), "aü");
        assert_eq!(quote("aü", 2), "\"a\"…");
    }
}
