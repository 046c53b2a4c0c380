//! Clients of a Kubernetes API, configured by a kubeconfig.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use hyper_util::client::proxy::matcher::Intercept;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::discovery_entry::DiscoveryEntry;
use crate::proxy::{self, ProxyEnvironment};
use crate::state_dir::StateDir;

/// Prevents kube from reading the proxies of the environment, which it would use
/// even for loopback addresses. No connection is made to it.
const PROXY_PLACEHOLDER: &str = "http://proxy.invalid";

/// A kubeconfig and the configuration for its cluster.
pub(crate) struct KubeClientConfig {
    /// The content of the file, with absolute paths.
    pub(crate) kubeconfig: Kubeconfig,
    config: Config,
    proxy: Option<Intercept>,
}

impl KubeClientConfig {
    /// Reads a kubeconfig and selects its current context.
    pub(crate) async fn load(path: &Path) -> Result<Self> {
        Self::new(Kubeconfig::read_from(path)?, &ProxyEnvironment::read()).await
    }

    async fn new(kubeconfig: Kubeconfig, environment: &ProxyEnvironment) -> Result<Self> {
        let mut with_placeholder = kubeconfig.clone();
        for named in &mut with_placeholder.clusters {
            if let Some(cluster) = &mut named.cluster {
                cluster.proxy_url = Some(PROXY_PLACEHOLDER.to_owned());
            }
        }
        let mut config =
            Config::from_custom_kubeconfig(with_placeholder, &KubeConfigOptions::default()).await?;
        config.proxy_url = None;
        let proxy = environment.proxy_for(&config.cluster_url, proxy_url(&kubeconfig))?;
        Ok(Self {
            kubeconfig,
            config,
            proxy,
        })
    }

    /// Returns a client for the cluster.
    pub(crate) fn client(&self) -> Result<kube::Client> {
        match &self.proxy {
            None => Ok(kube::Client::try_from(self.config.clone())?),
            Some(proxy) => proxy::tunneled_client(self.config.clone(), proxy),
        }
    }
}

/// Returns the `proxy-url` of the current context's cluster.
fn proxy_url(kubeconfig: &Kubeconfig) -> Option<&str> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig
        .contexts
        .iter()
        .find(|named| named.name == *current)?
        .context
        .as_ref()?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)?
        .cluster
        .as_ref()?;
    cluster.proxy_url.as_deref()
}

/// Returns a client for the API of the instance. Its kubeconfig exists only
/// while the daemon is ready.
pub(crate) async fn connect(state_dir: &StateDir) -> Result<kube::Client> {
    let path = state_dir.kubeconfig();
    if !path.exists() {
        bail!("{}", not_ready_message(state_dir));
    }
    let unusable = || format!("cannot use {}", path.display());
    let config = KubeClientConfig::load(&path).await.with_context(unusable)?;
    config.client().with_context(unusable)
}

/// Returns a client for the daemon itself, with the instance's token. Unlike the
/// kubeconfig, this is never an external cluster.
pub(crate) async fn connect_to_daemon(state_dir: &StateDir) -> Result<kube::Client> {
    if !state_dir.kubeconfig().exists() {
        bail!("{}", not_ready_message(state_dir));
    }
    let endpoint = DiscoveryEntry::read(state_dir)?.passthrough_endpoint;
    let kubeconfig = serde_json::from_value(serde_json::json!({
        "clusters": [{"name": "rdd", "cluster": {
            "server": endpoint.trim_end_matches("/passthrough"),
            "certificate-authority": state_dir.tls().join("ca.crt"),
        }}],
        "users": [{"name": "rdd", "user": {"tokenFile": state_dir.token()}}],
        "contexts": [{"name": "rdd", "context": {"cluster": "rdd", "user": "rdd"}}],
        "current-context": "rdd",
    }))?;
    let config = KubeClientConfig::new(kubeconfig, &ProxyEnvironment::read()).await;
    config
        .and_then(|config| config.client())
        .context("cannot connect to the daemon")
}

/// Returns the error of a command that requires a ready daemon.
pub(crate) fn not_ready_message(state_dir: &StateDir) -> String {
    format!(
        "no daemon is ready on {}; start one with 'rdd serve'",
        state_dir.root().display()
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
    use tokio::net::TcpListener;

    use super::*;

    /// Accepts one connection as a proxy, then serves `/version` on it as an API
    /// server. Returns the lines of both requests.
    async fn proxy_and_api(listener: TcpListener) -> Vec<String> {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufStream::new(stream);
        let mut lines = Vec::new();
        let version = r#"{"major":"1","minor":"35","gitVersion":"v1.35.0","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
        let answers = [
            "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{version}",
                version.len()
            ),
        ];
        for answer in answers {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
        lines
    }

    fn kubeconfig(server: &str, proxy_url: Option<String>) -> Kubeconfig {
        let mut cluster = serde_json::json!({"server": server});
        if let Some(url) = proxy_url {
            cluster["proxy-url"] = url.into();
        }
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "far", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": "token"}}],
            "contexts": [{"name": "it", "context": {"cluster": "far", "user": "me"}}],
            "current-context": "it",
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn a_cluster_is_reached_through_a_tunnel_of_its_proxy() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://me:word@{}", listener.local_addr().unwrap());
        let config = KubeClientConfig::new(
            kubeconfig("http://cluster.invalid:8080", Some(url)),
            &ProxyEnvironment::default(),
        )
        .await
        .unwrap();
        let client = config.client().unwrap();
        let (version, lines) = tokio::join!(client.apiserver_version(), proxy_and_api(listener));
        assert_eq!(version.unwrap().minor, "35");
        let has_line = |text: &str| lines.iter().any(|line| line.starts_with(text));
        assert!(has_line("CONNECT cluster.invalid:8080"), "{lines:?}");
        assert!(
            has_line("Proxy-Authorization: Basic bWU6d29yZA=="),
            "{lines:?}"
        );
        assert!(has_line("GET /version"), "{lines:?}");
    }

    #[tokio::test]
    async fn without_a_proxy_the_placeholder_is_not_used() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let config = KubeClientConfig::new(
            kubeconfig("https://127.0.0.1:1", None),
            &ProxyEnvironment::default(),
        )
        .await
        .unwrap();
        assert!(config.proxy.is_none());
        config.client().unwrap();
    }
}
