//! What the daemon says of itself in the API: the discovery ConfigMap and its
//! `ready` annotation, which comes last.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rdd_front::Kubeconfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::config_map::{ConfigMapContent, OwnConfigMap};

/// Namespace and name of the discovery ConfigMap.
const NAMESPACE: &str = rdd_api::SYSTEM_NAMESPACE;
const NAME: &str = "rdd-controller-manager";
/// The one manager that this daemon is, as a key of the ConfigMap.
const MANAGER: &str = "rdd";
/// The controllers of this manager, sorted.
const CONTROLLERS: [&str; 2] = ["app", "engine"];
/// Set to "true" when every part of the daemon is ready.
const READY_ANNOTATION: &str = "rdd.rancherdesktop.io/ready";

/// One manager's entry of the discovery ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Discovery {
    /// Port of `/livez` and `/readyz`.
    pub(crate) health_port: u16,
    /// Port of `/metrics`.
    pub(crate) metrics_port: u16,
    /// Names of the controllers that run, sorted.
    pub(crate) enabled_controllers: Vec<String>,
    /// Controllers with endpoints under `/passthrough`, each with its endpoints, sorted.
    pub(crate) enabled_passthroughs: BTreeMap<String, Vec<String>>,
    /// When this run of the daemon began.
    pub(crate) start_time: Timestamp,
    /// URL of the readiness probe.
    pub(crate) health_endpoint: String,
    /// URL of the metrics.
    pub(crate) metrics_endpoint: String,
    /// URL that endpoints are below of.
    pub(crate) passthrough_endpoint: String,
    /// Differs with each run of the daemon.
    pub(crate) boot_id: String,
}

impl Discovery {
    /// What a daemon at `address` offers.
    pub(crate) fn new(address: SocketAddr, start_time: Timestamp) -> Self {
        let server = Kubeconfig::server(address);
        Self {
            health_port: address.port(),
            metrics_port: address.port(),
            enabled_controllers: CONTROLLERS.map(str::to_owned).to_vec(),
            enabled_passthroughs: rdd_passthrough::endpoints(),
            start_time,
            health_endpoint: format!("{server}/readyz"),
            metrics_endpoint: format!("{server}/metrics"),
            passthrough_endpoint: format!("{server}/passthrough"),
            boot_id: uuid::Uuid::new_v4().to_string(),
        }
    }
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, NAMESPACE)
}

/// Takes back what an earlier run announced, if one ended without doing so.
pub(crate) async fn withdraw(client: Client) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {READY_ANNOTATION: null}}});
    match config_maps(client)
        .patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error).context("cannot withdraw the readiness of an earlier run"),
    }
}

/// Takes back what this run announced, if another one did not take over.
pub(crate) async fn withdraw_own(own: &OwnConfigMap) -> Result<()> {
    own.remove_annotation(READY_ANNOTATION)
        .await
        .context("cannot withdraw the readiness of this run")
}

/// The ConfigMap of one run of the daemon.
pub(crate) fn own(client: Client, discovery: &Discovery) -> OwnConfigMap {
    OwnConfigMap::new(client, NAME, &discovery.boot_id)
}

/// Writes discovery, then the annotation. When this fails, ready was not
/// announced. Answers what is to be kept from then on.
pub(crate) async fn announce(
    own: &OwnConfigMap,
    discovery: &Discovery,
) -> Result<ConfigMapContent> {
    let mut content = ConfigMapContent {
        key: MANAGER,
        value: serde_json::to_string(discovery)?,
        annotations: BTreeMap::new(),
    };
    own.write(&content)
        .await
        .context("cannot write the discovery ConfigMap")?;
    content.annotations.insert(READY_ANNOTATION, "true");
    own.write(&content)
        .await
        .context("cannot announce readiness")?;
    Ok(content)
}

/// Reads what a ready daemon announced.
pub(crate) async fn read(client: Client) -> Result<Discovery> {
    let object = config_maps(client)
        .get(NAME)
        .await
        .context("cannot read what the daemon announced")?;
    let entry = object
        .data
        .as_ref()
        .and_then(|data| data.get(MANAGER))
        .with_context(|| format!("ConfigMap {NAMESPACE}/{NAME} has no entry {MANAGER:?}"))?;
    serde_json::from_str(entry)
        .with_context(|| format!("entry {MANAGER:?} of ConfigMap {NAMESPACE}/{NAME} is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_controllers_are_sorted_and_each_endpoint_has_its_own() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let discovery = Discovery::new(address, Timestamp::UNIX_EPOCH);
        assert!(discovery.enabled_controllers.is_sorted());
        for controller in discovery.enabled_passthroughs.keys() {
            assert!(discovery.enabled_controllers.contains(controller));
        }
    }
}
