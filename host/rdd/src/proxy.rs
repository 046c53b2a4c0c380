//! The proxy for connections to a Kubernetes API.
//!
//! The feature of kube is not used: it compares `NO_PROXY` with the address of
//! the proxy instead of the API server, does not exempt loopback addresses, and
//! fails on a `NO_PROXY` with a trailing comma. This module follows the rules of
//! kubectl, with the parser of hyper-util.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::config::Config;
use tower::ServiceBuilder;

/// The proxy settings of the environment.
#[derive(Clone, Default)]
pub(crate) struct ProxyEnvironment {
    http: String,
    https: String,
    no_proxy: String,
}

impl ProxyEnvironment {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY`, and `NO_PROXY`, or their lower-case
    /// forms if those are not set. `ALL_PROXY` is ignored, as in kubectl.
    pub(crate) fn read() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let first = |upper: &str, lower: &str| var(upper).or_else(|| var(lower));
        Self {
            http: first("HTTP_PROXY", "http_proxy").unwrap_or_default(),
            https: first("HTTPS_PROXY", "https_proxy").unwrap_or_default(),
            no_proxy: first("NO_PROXY", "no_proxy").unwrap_or_default(),
        }
    }

    /// Returns the proxy for `target`: `configured`, the `proxy-url` of the
    /// kubeconfig, or else that of the environment, unless the target is this
    /// machine or is excluded by `NO_PROXY`.
    ///
    /// # Errors
    ///
    /// Fails if the URL of the proxy is invalid. The message does not include
    /// the URL, since it may contain a password.
    pub(crate) fn proxy_for(
        &self,
        target: &Uri,
        configured: Option<&str>,
    ) -> Result<Option<Intercept>> {
        if let Some(url) = configured.filter(|url| !url.is_empty()) {
            return parse_proxy(target, url, "proxy-url of the kubeconfig").map(Some);
        }
        let (variable, url) = match target.scheme_str() {
            Some("http") => ("HTTP_PROXY", &self.http),
            _ => ("HTTPS_PROXY", &self.https),
        };
        if url.is_empty() || is_loopback(target) || self.is_excluded(target) {
            return Ok(None);
        }
        parse_proxy(target, url, variable).map(Some)
    }

    fn is_excluded(&self, target: &Uri) -> bool {
        // Only the exclusion is of interest, so any proxy works.
        Matcher::builder()
            .all("http://proxy.invalid")
            .no(self.no_proxy.as_str())
            .build()
            .intercept(target)
            .is_none()
    }
}

/// Returns whether `target` is this machine, which a proxy cannot reach.
fn is_loopback(target: &Uri) -> bool {
    let host = target.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn parse_proxy(target: &Uri, url: &str, origin: &str) -> Result<Intercept> {
    Matcher::builder()
        .all(url)
        .build()
        .intercept(target)
        .filter(|proxy| matches!(proxy.uri().scheme_str(), Some("http" | "https")))
        .with_context(|| format!("{origin} is not the URL of a proxy; use http://host:port"))
}

/// Returns a client whose connections are tunneled through `proxy` with
/// `CONNECT`.
pub(crate) fn tunneled_client(config: Config, proxy: &Intercept) -> Result<kube::Client> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    // The connection to the proxy may use TLS. Then the kubeconfig has to trust
    // the authority of its certificate.
    let to_proxy = config.rustls_https_connector_with_connector(direct)?;
    let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    let to_api = config.rustls_https_connector_with_connector(tunnel)?;
    let mut connector = hyper_timeout::TimeoutConnector::new(to_api);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(client);
    Ok(kube::Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(no_proxy: &str) -> ProxyEnvironment {
        ProxyEnvironment {
            http: "http://plain:3128".to_owned(),
            https: "http://secure:3128".to_owned(),
            no_proxy: no_proxy.to_owned(),
        }
    }

    fn proxy(no_proxy: &str, target: &'static str, configured: Option<&str>) -> String {
        environment(no_proxy)
            .proxy_for(&Uri::from_static(target), configured)
            .unwrap()
            .map(|proxy| proxy.uri().to_string())
            .unwrap_or_default()
    }

    #[test]
    fn the_scheme_of_the_cluster_selects_the_proxy() {
        assert_eq!(
            proxy("", "https://cluster:6443", None),
            "http://secure:3128/"
        );
        assert_eq!(proxy("", "http://cluster:8080", None), "http://plain:3128/");
    }

    #[test]
    fn this_machine_is_connected_to_directly() {
        for target in [
            "https://127.0.0.1:1",
            "https://127.8.9.1:1",
            "https://[::1]:1",
            "https://localhost:1",
            "https://LOCALHOST:1",
        ] {
            assert_eq!(proxy("", target, None), "", "{target}");
        }
    }

    #[test]
    fn no_proxy_is_compared_with_the_target() {
        for excluding in [
            "cluster",
            "other,cluster",
            "other, cluster,",
            "*",
            "10.0.0.0/8,cluster",
        ] {
            assert_eq!(
                proxy(excluding, "https://cluster:6443", None),
                "",
                "{excluding}"
            );
        }
        assert_eq!(proxy("10.0.0.0/8,", "https://10.1.2.3:6443", None), "");
        // An entry for the proxy itself excludes nothing.
        for other in ["secure", "uster", ",", "no/host"] {
            let found = proxy(other, "https://cluster:6443", None);
            assert_eq!(found, "http://secure:3128/", "{other}");
        }
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_takes_precedence_over_the_environment() {
        let configured = Some("http://own:1");
        assert_eq!(
            proxy("cluster", "https://cluster:6443", configured),
            "http://own:1/"
        );
        assert_eq!(
            proxy("", "https://cluster:6443", Some("")),
            "http://secure:3128/"
        );
    }

    #[test]
    fn an_invalid_proxy_is_reported_by_its_variable_but_not_by_its_value() {
        for url in ["socks5://me:secret@proxy:1", "http://me:secret@", "::"] {
            let environment = ProxyEnvironment {
                https: url.to_owned(),
                ..ProxyEnvironment::default()
            };
            let target = Uri::from_static("https://cluster:6443");
            let error = environment.proxy_for(&target, None).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("HTTPS_PROXY"), "{error}");
            assert!(!error.contains("secret"), "{error}");
            let target = Uri::from_static("https://127.0.0.1:6443");
            assert!(environment.proxy_for(&target, None).unwrap().is_none());
        }
    }
}
