//! The kubeconfig that leads to this instance.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdd_core::{PrivateFileError, write_private};

use crate::token::Token;

/// What a kubeconfig is written from.
pub struct Kubeconfig<'a> {
    /// Name of the cluster, the user and the context: the instance's name.
    pub name: &'a str,
    /// The namespace that clients mean when they name none: that of the mirrors.
    pub namespace: &'a str,
    /// Where the daemon listens.
    pub address: SocketAddr,
    /// PEM of the certificates to trust.
    pub bundle_pem: &'a str,
    /// The credentials.
    pub token: &'a Token,
}

impl Kubeconfig<'_> {
    /// The URL of the server: a wildcard address is reached over loopback.
    pub fn server(address: SocketAddr) -> String {
        let mut address = address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("https://{address}")
    }

    /// Writes the file in one step, mode 0600.
    pub fn write(&self, path: &Path) -> Result<(), PrivateFileError> {
        let name = self.name;
        let content = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": Self::server(self.address),
                "certificate-authority-data": STANDARD.encode(self.bundle_pem),
            }}],
            "users": [{"name": name, "user": {"token": self.token.reveal()}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": self.namespace}}],
        });
        // JSON is YAML: every reader of kubeconfigs takes it.
        write_private(path, format!("{content:#}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_reached_over_loopback() {
        assert_eq!(
            Kubeconfig::server("0.0.0.0:1".parse().unwrap()),
            "https://127.0.0.1:1"
        );
        assert_eq!(
            Kubeconfig::server("[::]:1".parse().unwrap()),
            "https://[::1]:1"
        );
        assert_eq!(
            Kubeconfig::server("127.0.0.1:2".parse().unwrap()),
            "https://127.0.0.1:2"
        );
    }
}
