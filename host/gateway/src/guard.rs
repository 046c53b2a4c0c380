//! Host and Origin allow-lists: what keeps a web page that the user happens to
//! visit from talking to the daemon (cross-site WebSockets, DNS rebinding).

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

use crate::allow_list::{AllowedHost, TrustedOrigin};

/// Names that always lead to this machine itself.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Decides whether a request's `Host` and `Origin` are allowed.
#[derive(Clone, Debug)]
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    /// Allows the loopback names and `hosts`, and the server's own origin and
    /// `origins`, exactly as they are.
    pub fn new(hosts: &[AllowedHost], origins: &[TrustedOrigin]) -> Self {
        Self {
            hosts: LOOPBACK_HOSTS
                .iter()
                .map(|host| (*host).to_owned())
                .chain(hosts.iter().map(AllowedHost::in_header))
                .collect(),
            origins: origins
                .iter()
                .map(|origin| origin.as_str().to_owned())
                .collect(),
        }
    }

    /// `Err` holds the sentence for the client.
    pub fn check(&self, headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), String> {
        let host = match authority {
            // HTTP/2 carries the host in the request's target.
            Some(authority) => authority.as_str().to_owned(),
            None => match headers.get(HOST).map(|value| value.to_str()) {
                Some(Ok(host)) => host.to_owned(),
                _ => return Err("the request names no host".to_owned()),
            },
        };
        let host = host.to_ascii_lowercase();
        let name = host
            .parse::<Authority>()
            .map_or_else(|_| host.clone(), |parsed| parsed.host().to_owned());
        if !self.hosts.contains(&name) {
            return Err(format!(
                "host {name:?} is not allowed; start the daemon with --allowed-host {name} if you trust it"
            ));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let own = format!("https://{host}");
        if origins.next().is_some() || (origin != own && !self.origins.contains(&origin)) {
            return Err(format!(
                "origin {origin:?} is not allowed; start the daemon with --trusted-origin {origin} if you trust it"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        Guard::new(
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
    fn any_other_host_is_refused_by_name() {
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
                .contains("--allowed-host evil.example")
        );
    }

    #[test]
    fn the_host_of_http_2_is_the_one_that_counts() {
        let guard = Guard::new(&[], &[]);
        let authority = |text: &str| text.parse::<Authority>().unwrap();
        let mut headers = HeaderMap::new();
        assert!(
            guard
                .check(&headers, Some(&authority("localhost:1")))
                .is_ok()
        );
        assert!(guard.check(&headers, None).is_err(), "no host at all");
        headers.insert(HOST, "localhost".parse().unwrap());
        let evil = authority("evil.example");
        assert!(guard.check(&headers, Some(&evil)).is_err());
    }

    #[test]
    fn one_good_origin_does_not_excuse_another() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.append(ORIGIN, "https://localhost".parse().unwrap());
        let guard = Guard::new(&[], &[]);
        assert_eq!(guard.check(&headers, None), Ok(()));
        headers.append(ORIGIN, "https://evil.example".parse().unwrap());
        assert!(guard.check(&headers, None).is_err());
    }

    #[test]
    fn an_origin_must_be_our_own_or_listed_exactly() {
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
