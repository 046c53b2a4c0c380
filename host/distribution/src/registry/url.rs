//! Addresses of registries and of what they redirect to.

use std::net::IpAddr;

use http::Uri;

/// Returns whether a host name with an optional port is this machine.
///
/// ```
/// use rdd_distribution::is_loopback;
///
/// assert!(is_loopback("localhost:5000") && is_loopback("[::1]") && is_loopback("127.8.0.1"));
/// assert!(!is_loopback("localhost.example"));
/// ```
pub fn is_loopback(host_and_port: &str) -> bool {
    let Ok(authority) = host_and_port.parse::<http::uri::Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Resolves the `Location` of a response to the request for `base`. `None` if it
/// is neither an absolute address nor an absolute path.
pub(super) fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let resolved: Uri = if location.starts_with('/') && !location.starts_with("//") {
        let scheme = base.scheme_str()?;
        format!("{scheme}://{}{location}", base.authority()?)
            .parse()
            .ok()?
    } else {
        location.parse().ok()?
    };
    let is_http = matches!(resolved.scheme_str(), Some("http" | "https"));
    // A user name in an address would be sent as credentials.
    let has_user = resolved
        .authority()
        .is_none_or(|authority| authority.as_str().contains('@'));
    (is_http && !has_user).then_some(resolved)
}

/// Returns the address with one more parameter.
pub(super) fn with_query(url: &Uri, name: &str, value: &str) -> Option<Uri> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value);
    let query = query.finish();
    let separator = if url.query().is_some() { '&' } else { '?' };
    format!("{url}{separator}{query}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_address_or_a_path() {
        let base = Uri::from_static("https://r.example/v2/a/blobs/x");
        let resolved = |location| resolve(&base, location).map(|url| url.to_string());
        assert_eq!(resolved("/y?z=1").unwrap(), "https://r.example/y?z=1");
        assert_eq!(
            resolved("https://cdn.example/y").unwrap(),
            "https://cdn.example/y"
        );
        for invalid in [
            "y",
            "//cdn.example/y",
            "file:///etc/passwd",
            "https://me@cdn.example/",
            "",
        ] {
            assert_eq!(resolved(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_parameter_is_added_to_those_that_are_there() {
        let with = |url| with_query(&Uri::from_static(url), "digest", "sha256:0").unwrap();
        assert_eq!(
            with("http://a/b").to_string(),
            "http://a/b?digest=sha256%3A0"
        );
        assert_eq!(
            with("http://a/b?c=d").to_string(),
            "http://a/b?c=d&digest=sha256%3A0"
        );
    }
}
