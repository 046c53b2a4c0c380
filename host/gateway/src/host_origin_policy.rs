//! The allow-lists of hosts and origins. They protect the daemon against web
//! pages that the user happens to visit (cross-site WebSockets, DNS rebinding).

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

use crate::allow_list::{AllowedHost, TrustedOrigin};

/// Names that always resolve to this machine.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The hosts and origins that requests may name.
#[derive(Clone, Debug)]
pub struct HostOriginPolicy {
    scheme: &'static str,
    hosts: HostMatch,
    origins: Vec<String>,
}

/// How a host is compared.
#[derive(Clone, Debug)]
enum HostMatch {
    /// Its name is one of these, with any port.
    Names(Vec<String>),
    /// Its name and its port are one of these.
    Authorities(Vec<String>),
}

/// A request that the [`HostOriginPolicy`] rejects. The message is for the
/// client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostOriginError {
    /// No `Host` header, or one that is not text.
    #[error("the request names no host")]
    MissingHost,
    /// A host that is not on the allow-list.
    #[error(
        "host {name:?} is not allowed; start the daemon with --allowed-host {name} if you trust it"
    )]
    Host {
        /// The host in lower case, without a port.
        name: String,
    },
    /// A host that is not the listener's own address.
    #[error("host {host:?} is not the address of the page; open it with 'rdd dashboard'")]
    Authority {
        /// The host in lower case, with its port.
        host: String,
    },
    /// An origin that is not the listener's own.
    #[error("origin {origin:?} is not that of the page, and no other one may use this address")]
    ForeignOrigin {
        /// The first origin of the request, in lower case.
        origin: String,
    },
    /// An origin that is not on the allow-list, or several origins.
    #[error(
        "origin {origin:?} is not allowed; start the daemon with --trusted-origin {origin} if you trust it"
    )]
    Origin {
        /// The first origin of the request, in lower case.
        origin: String,
    },
}

impl HostOriginPolicy {
    /// Allows the loopback names and `hosts`, and the server's own origin and
    /// `origins`. Each entry has to match exactly.
    pub fn new(hosts: &[AllowedHost], origins: &[TrustedOrigin]) -> Self {
        let hosts = LOOPBACK_HOSTS
            .iter()
            .map(|host| (*host).to_owned())
            .chain(hosts.iter().map(AllowedHost::in_header))
            .collect();
        Self {
            scheme: "https",
            hosts: HostMatch::Names(hosts),
            origins: origins
                .iter()
                .map(|origin| origin.as_str().to_owned())
                .collect(),
        }
    }

    /// Allows nothing but the address of the listener, with its port, and
    /// `localhost` with that port. For a listener that serves plain HTTP.
    pub fn own_address() -> Self {
        Self {
            scheme: "http",
            hosts: HostMatch::Authorities(Vec::new()),
            origins: Vec::new(),
        }
    }

    /// Returns the policy of a listener on `address`.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        if let HostMatch::Authorities(authorities) = &mut self.hosts {
            *authorities = vec![address.to_string(), format!("localhost:{}", address.port())];
        }
        self
    }

    /// Checks the `Host` and `Origin` of a request. `authority` is the one of
    /// the request target, which HTTP/2 uses instead of `Host`.
    ///
    /// # Errors
    ///
    /// Fails if the host or the origin is not allowed.
    pub fn check(
        &self,
        headers: &HeaderMap,
        authority: Option<&Authority>,
    ) -> Result<(), HostOriginError> {
        let host = match authority {
            Some(authority) => authority.as_str().to_owned(),
            None => match headers.get(HOST).map(|value| value.to_str()) {
                Some(Ok(host)) => host.to_owned(),
                _ => return Err(HostOriginError::MissingHost),
            },
        };
        let host = host.to_ascii_lowercase();
        let name = host
            .parse::<Authority>()
            .map_or_else(|_| host.clone(), |parsed| parsed.host().to_owned());
        match &self.hosts {
            HostMatch::Names(names) if !names.contains(&name) => {
                return Err(HostOriginError::Host { name });
            }
            HostMatch::Authorities(authorities) if !authorities.contains(&host) => {
                return Err(HostOriginError::Authority { host });
            }
            _ => {}
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let own = format!("{}://{host}", self.scheme);
        if matches!(self.hosts, HostMatch::Authorities(_)) && origin != own {
            return Err(HostOriginError::ForeignOrigin { origin });
        }
        if origins.next().is_some() || (origin != own && !self.origins.contains(&origin)) {
            return Err(HostOriginError::Origin { origin });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<(), HostOriginError> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        HostOriginPolicy::new(
            &[
                "box.example".parse().unwrap(),
                "2001:db8::7".parse().unwrap(),
            ],
            &["http://gui.example:3000".parse().unwrap()],
        )
        .check(&headers, None)
    }

    #[test]
    fn loopback_names_and_listed_hosts_are_allowed() {
        for host in [
            "localhost:1",
            "127.0.0.1",
            "[::1]:8443",
            "LOCALHOST",
            "box.example:5",
            "[2001:db8::7]:5",
        ] {
            assert_eq!(check(host, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn any_other_host_is_rejected_and_named() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
            "x@localhost.evil",
        ] {
            assert!(check(host, None).is_err(), "{host}");
        }
        assert!(
            check("evil.example", None)
                .unwrap_err()
                .to_string()
                .contains("--allowed-host evil.example")
        );
    }

    #[test]
    fn a_listener_of_its_own_address_accepts_nothing_else() {
        let policy = HostOriginPolicy::own_address().at("127.0.0.1:80".parse().unwrap());
        let check = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            policy.check(&headers, None).is_ok()
        };
        assert!(check("127.0.0.1:80", None) && check("LOCALHOST:80", None));
        assert!(check("localhost:80", Some("http://localhost:80")));
        for host in [
            "127.0.0.1",
            "127.0.0.1:81",
            "[::1]:80",
            "evil.example:80",
            "",
        ] {
            assert!(!check(host, None), "{host}");
        }
        for origin in [
            "https://127.0.0.1:80",
            "http://127.0.0.1:81",
            "http://localhost:80",
            "http://127.0.0.1",
            "null",
        ] {
            assert!(!check("127.0.0.1:80", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn the_request_target_of_http_2_takes_precedence_over_the_host_header() {
        let policy = HostOriginPolicy::new(&[], &[]);
        let authority = |text: &str| text.parse::<Authority>().unwrap();
        let mut headers = HeaderMap::new();
        assert!(
            policy
                .check(&headers, Some(&authority("localhost:1")))
                .is_ok()
        );
        assert!(policy.check(&headers, None).is_err(), "no host at all");
        headers.insert(HOST, "localhost".parse().unwrap());
        let evil = authority("evil.example");
        assert!(policy.check(&headers, Some(&evil)).is_err());
    }

    #[test]
    fn several_origins_are_rejected_even_if_one_is_allowed() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.append(ORIGIN, "https://localhost".parse().unwrap());
        let policy = HostOriginPolicy::new(&[], &[]);
        assert_eq!(policy.check(&headers, None), Ok(()));
        headers.append(ORIGIN, "https://evil.example".parse().unwrap());
        assert!(policy.check(&headers, None).is_err());
    }

    #[test]
    fn an_origin_must_be_our_own_or_match_the_list_exactly() {
        assert_eq!(
            check("localhost:8443", Some("https://localhost:8443")),
            Ok(())
        );
        assert_eq!(
            check("localhost:8443", Some("http://gui.example:3000")),
            Ok(())
        );
        for origin in [
            "https://localhost:8444",
            "http://localhost:8443",
            "https://localhost",
            "null",
            "http://gui.example",
            "http://gui.example:30000",
            "http://gui.example:3000.evil",
        ] {
            assert!(check("localhost:8443", Some(origin)).is_err(), "{origin}");
        }
    }
}
