//! Formats that are defined by a pattern.

use std::sync::LazyLock;

use regex::Regex;

/// The maximum length of a `k8s-short-name` (a DNS label), in bytes.
const MAX_SHORT_NAME_LENGTH: usize = 63;
/// The maximum length of a `k8s-long-name` (a DNS subdomain), in bytes.
const MAX_LONG_NAME_LENGTH: usize = 253;

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(text: &str) -> bool {
            static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
            // A pattern that did not compile would reject all texts; the tests use each pattern.
            PATTERN.as_ref().is_some_and(|pattern| pattern.is_match(text))
        }
    )*};
}

patterns! {
    is_bson_object_id = "^[0-9a-fA-F]{24}$";
    is_uuid = "(?i)^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$";
    is_uuid3 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    is_uuid4 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    is_uuid5 = "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$";
    is_ssn = "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
    is_hex_color = "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    is_rgb_color = concat!(
        r"^rgb\(\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*,",
        r"\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*\)$"
    );
    is_base64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    is_dns_label = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    is_dns_subdomain = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
}

pub(super) fn is_short_name(text: &str) -> bool {
    text.len() <= MAX_SHORT_NAME_LENGTH && is_dns_label(text)
}

pub(super) fn is_long_name(text: &str) -> bool {
    text.len() <= MAX_LONG_NAME_LENGTH && is_dns_subdomain(text)
}
