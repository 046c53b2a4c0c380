//! The kubeconfig of this instance. Written as JSON by hand, since this crate
//! must not depend on kube, whose `Kubeconfig` could be serialized.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdd_core::{PrivateFileError, write_private};

use crate::token::BearerToken;

/// The content of the instance's kubeconfig.
pub struct InstanceKubeconfig<'a> {
    /// The name of the cluster, the user, and the context.
    pub name: &'a str,
    /// The default namespace: that of the mirrors.
    pub namespace: &'a str,
    /// The address of the listener.
    pub address: SocketAddr,
    /// The trusted certificates in PEM.
    pub bundle_pem: &'a str,
    /// The token of the user.
    pub token: &'a BearerToken,
}

impl InstanceKubeconfig<'_> {
    /// Returns the URL of the server. A wildcard address is replaced by the
    /// loopback address.
    pub fn server_url(address: SocketAddr) -> String {
        let mut address = address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("https://{address}")
    }

    /// Writes the file atomically, with mode 0600.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PrivateFileError> {
        let name = self.name;
        let content = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": Self::server_url(self.address),
                "certificate-authority-data": STANDARD.encode(self.bundle_pem),
                // On one machine, compressing a list takes longer than sending it.
                "disable-compression": true,
            }}],
            "users": [{"name": name, "user": {"token": self.token.reveal()}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": self.namespace}}],
        });
        // JSON is a subset of YAML, so every kubeconfig reader accepts it.
        write_private(path, format!("{content:#}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_replaced_by_the_loopback_address() {
        assert_eq!(
            InstanceKubeconfig::server_url("0.0.0.0:1".parse().unwrap()),
            "https://127.0.0.1:1"
        );
        assert_eq!(
            InstanceKubeconfig::server_url("[::]:1".parse().unwrap()),
            "https://[::1]:1"
        );
        assert_eq!(
            InstanceKubeconfig::server_url("127.0.0.1:2".parse().unwrap()),
            "https://127.0.0.1:2"
        );
    }
}
