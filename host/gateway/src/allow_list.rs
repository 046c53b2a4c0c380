//! The values of `--allowed-host` and `--trusted-origin`. A value that could
//! never match a request is rejected when it is parsed, rather than discovered
//! by a client.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// The maximum length of a DNS name in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
/// The maximum length of a DNS label in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host name or an IP address, without a port: clients may use it with any
/// port.
///
/// ```
/// use rdd_gateway::AllowedHost;
///
/// let host: AllowedHost = "Box.Example".parse()?;
/// assert_eq!(host.to_string(), "box.example");
/// assert!("box.example:8443".parse::<AllowedHost>().is_err());
/// # Ok::<(), rdd_gateway::AllowListError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost(HostKind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostKind {
    Name(String),
    Address(IpAddr),
}

/// An origin in the form that browsers send: a scheme, a host, and a port unless
/// it is the default of the scheme.
///
/// ```
/// use rdd_gateway::TrustedOrigin;
///
/// let origin: TrustedOrigin = "https://GUI.example:443/".parse()?;
/// assert_eq!(origin.to_string(), "https://gui.example");
/// assert!("gui.example".parse::<TrustedOrigin>().is_err());
/// # Ok::<(), rdd_gateway::AllowListError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedOrigin(String);

/// A text that is not a host name or not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowListError {
    /// Not a valid host name.
    #[error("{text:?} is not a host name: {problem}")]
    Host {
        /// The rejected text.
        text: String,
        /// What is wrong, and the remedy.
        problem: &'static str,
    },
    /// Not a valid origin.
    #[error(
        "{text:?} is not an origin: {problem}; write scheme://host or scheme://host:port, such as http://localhost:3000"
    )]
    Origin {
        /// The rejected text.
        text: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl AllowedHost {
    /// Returns the form of a `Host` header: lower case, an IPv6 address in
    /// brackets.
    pub(crate) fn in_header(&self) -> String {
        match &self.0 {
            HostKind::Address(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for AllowedHost {
    /// Writes the form of a certificate: an IPv6 address without brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostKind::Name(name) => f.write_str(name),
            HostKind::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reject = |problem| {
            Err(AllowListError::Host {
                text: text.to_owned(),
                problem,
            })
        };
        let unbracketed = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = unbracketed.parse::<IpAddr>() {
            return Ok(Self(HostKind::Address(address)));
        }
        if text.is_empty() {
            return reject("it is empty");
        }
        if text.contains("://") {
            return reject("leave out the scheme");
        }
        if text.contains('/') {
            return reject("leave out the path");
        }
        if text.contains('*') {
            return reject("wildcards are not supported; give the option once for each name");
        }
        if text.contains(':') {
            return reject("leave out the port: a name is allowed on every port");
        }
        if !text.is_ascii() {
            return reject("write an international name in its xn-- form");
        }
        let label = |label: &str| {
            (1..=MAX_LABEL).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if text.len() > MAX_NAME || !text.split('.').all(label) {
            return reject("use letters, digits, '-' and '.', such as box.example");
        }
        Ok(Self(HostKind::Name(text.to_ascii_lowercase())))
    }
}

impl TrustedOrigin {
    /// Returns the form of an `Origin` header.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TrustedOrigin {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reject = |problem| {
            Err(AllowListError::Origin {
                text: text.to_owned(),
                problem,
            })
        };
        if text.eq_ignore_ascii_case("null") {
            return reject("every sandboxed page and every local file has the origin null");
        }
        if text.contains('*') {
            return reject("wildcards are not supported; give the option once for each origin");
        }
        let Some((_, rest)) = text.split_once("://") else {
            return reject("it has no scheme");
        };
        if rest.contains('@') {
            return reject("leave out the user");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return reject("it is not a valid URL");
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return reject("it is not a valid URL");
        };
        if !uri.path().trim_end_matches('/').is_empty()
            || uri.query().is_some()
            || text.contains('#')
        {
            return reject("leave out the path: an origin ends after host and port");
        }
        if authority.host().is_empty() {
            return reject("it has no host");
        }
        let (scheme, host) = (
            scheme.to_ascii_lowercase(),
            authority.host().to_ascii_lowercase(),
        );
        // The rest of the authority is the port, even if it is not a number.
        let port = match authority.as_str().get(host.len()..) {
            None | Some("") => None,
            Some(port) => match port.strip_prefix(':').map(str::parse::<u16>) {
                Some(Ok(port)) if port != 0 => Some(port),
                _ => return reject("its port is not a number from 1 to 65535"),
            },
        };
        // Browsers omit the default port of a scheme.
        let default_port = match scheme.as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Ok(Self(
            match port.filter(|port| Some(*port) != default_port) {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_without_a_port() {
        for (text, header, certificate) in [
            ("Box.Example", "box.example", "box.example"),
            ("build_box-1", "build_box-1", "build_box-1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("2001:DB8::7", "[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]", "[2001:db8::7]", "2001:db8::7"),
        ] {
            let host: AllowedHost = text.parse().unwrap();
            assert_eq!(host.in_header(), header);
            assert_eq!(host.to_string(), certificate);
        }
    }

    #[test]
    fn a_host_that_no_request_can_name_is_rejected_with_the_remedy() {
        let long = "a.".repeat(127) + "a";
        for (text, remedy) in [
            ("", "empty"),
            ("https://box.example", "leave out the scheme"),
            ("box.example/x", "leave out the path"),
            ("box.example:8443", "leave out the port"),
            ("[2001:db8::7]:8443", "leave out the port"),
            ("*.example", "once for each name"),
            ("bücher.example", "xn--"),
            ("box example", "letters, digits"),
            ("box..example", "letters, digits"),
            (".example", "letters, digits"),
            ("-box", "letters, digits"),
            (&long, "letters, digits"),
        ] {
            let error = text.parse::<AllowedHost>().unwrap_err().to_string();
            assert!(error.contains(remedy), "{text:?}: {error}");
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn origins_are_normalized_to_the_form_that_browsers_send() {
        for (text, origin) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTP://LocalHost:3000/", "http://localhost:3000"),
            ("https://gui.example:443", "https://gui.example"),
            ("http://gui.example:443", "http://gui.example:443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("vscode-webview://0a1b", "vscode-webview://0a1b"),
        ] {
            assert_eq!(text.parse::<TrustedOrigin>().unwrap().as_str(), origin);
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_rejected_with_the_expected_form() {
        for (text, problem) in [
            ("foo", "no scheme"),
            ("", "no scheme"),
            ("localhost:3000", "no scheme"),
            ("null", "sandboxed page"),
            ("*", "wildcards"),
            ("https://*.example", "wildcards"),
            ("http://gui.example/app", "leave out the path"),
            ("http://gui.example?x", "leave out the path"),
            ("http://user@gui.example", "leave out the user"),
            ("http://gui.example:x", "port"),
            ("http://gui.example:", "port"),
            ("http://gui.example:70000", "port"),
            ("http://", "URL"),
            ("http://:3000", ""),
            ("http://a b", "URL"),
        ] {
            let error = text.parse::<TrustedOrigin>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
            assert!(error.contains("scheme://host:port"), "{error}");
        }
    }
}
