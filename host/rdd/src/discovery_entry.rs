//! Discovery: how clients find the daemon. Its entry is published as a ConfigMap,
//! and as a file in the state directory.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rdd_gateway::InstanceKubeconfig;
use serde::{Deserialize, Serialize};

use crate::state_dir::{StateDir, read_published};

/// The controllers of this manager, sorted.
const CONTROLLERS: [&str; 2] = ["app", "engine"];

/// The entry of one manager in the discovery ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiscoveryEntry {
    /// The port of `/livez` and `/readyz`.
    pub(crate) health_port: u16,
    /// The port of `/metrics`.
    pub(crate) metrics_port: u16,
    /// The names of the running controllers, sorted.
    pub(crate) enabled_controllers: Vec<String>,
    /// The endpoints under `/passthrough` by controller, sorted.
    pub(crate) enabled_passthroughs: BTreeMap<String, Vec<String>>,
    /// The start time of this run of the daemon.
    pub(crate) start_time: Timestamp,
    /// The URL of the readiness probe.
    pub(crate) health_endpoint: String,
    /// The URL of the metrics.
    pub(crate) metrics_endpoint: String,
    /// The base URL of the passthrough endpoints.
    pub(crate) passthrough_endpoint: String,
    /// The URL of the web page on this machine. Absent if none is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) web_endpoint: Option<String>,
    /// A random ID of this run of the daemon.
    pub(crate) boot_id: String,
}

impl DiscoveryEntry {
    /// Returns the entry of a daemon that listens on `address`, and has its web page
    /// on `web_address`.
    pub(crate) fn new(
        address: SocketAddr,
        web_address: Option<SocketAddr>,
        start_time: Timestamp,
    ) -> Self {
        let server = InstanceKubeconfig::server_url(address);
        Self {
            health_port: address.port(),
            metrics_port: address.port(),
            enabled_controllers: CONTROLLERS.map(str::to_owned).to_vec(),
            enabled_passthroughs: rdd_passthrough::endpoints(),
            start_time,
            health_endpoint: format!("{server}/readyz"),
            metrics_endpoint: format!("{server}/metrics"),
            passthrough_endpoint: format!("{server}/passthrough"),
            web_endpoint: web_address.map(|address| format!("http://{address}/")),
            boot_id: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// Reads the entry of the daemon of a state directory, from its file: in a
    /// cluster, the ConfigMap may belong to another daemon.
    pub(crate) fn read(state_dir: &StateDir) -> Result<Self> {
        read_published(&state_dir.discovery())
            .context("cannot read the discovery file of the daemon")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_sorted_and_include_those_of_all_endpoints() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let discovery = DiscoveryEntry::new(address, None, Timestamp::UNIX_EPOCH);
        assert!(discovery.enabled_controllers.is_sorted());
        for controller in discovery.enabled_passthroughs.keys() {
            assert!(discovery.enabled_controllers.contains(controller));
        }
    }
}
