//! The ConfigMap of discovery, by which clients find the daemon. Its `ready`
//! annotation is written last.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kube::Client;
use rdd_mirror::InstanceId;

use super::config_map::{ConfigMapOwner, ConfigMapSpec, ConfigMapWriter};
use crate::discovery_entry::DiscoveryEntry;

/// The name of the discovery ConfigMap.
pub(super) const NAME: &str = "rdd-controller-manager";
/// The key of this daemon's entry in the ConfigMap.
const MANAGER: &str = "rdd";
/// The annotation that is "true" once every part of the daemon is ready.
const READY_ANNOTATION: &str = "rdd.rancherdesktop.io/ready";

/// Withdraws the readiness of an earlier run of this instance that did not do so
/// itself.
pub(crate) async fn withdraw_earlier_runs(own: &ConfigMapWriter) -> Result<()> {
    own.remove_annotation(READY_ANNOTATION, ConfigMapOwner::ThisInstance)
        .await
        .context("cannot withdraw the readiness of an earlier run")
}

/// Withdraws the readiness of this run, unless another one has taken over.
pub(crate) async fn withdraw_this_run(own: &ConfigMapWriter) -> Result<()> {
    own.remove_annotation(READY_ANNOTATION, ConfigMapOwner::ThisRun)
        .await
        .context("cannot withdraw the readiness of this run")
}

/// Returns the writer of the ConfigMap for one run of the daemon.
pub(crate) fn config_map_writer(
    client: Client,
    discovery: &DiscoveryEntry,
    instance: &InstanceId,
) -> ConfigMapWriter {
    ConfigMapWriter::new(client, NAME, &discovery.boot_id, instance)
}

/// Returns the content of the ConfigMap of a ready daemon.
pub(crate) fn content(discovery: &DiscoveryEntry) -> Result<ConfigMapSpec> {
    Ok(ConfigMapSpec {
        key: MANAGER,
        value: serde_json::to_string(discovery)?,
        annotations: BTreeMap::from([(READY_ANNOTATION, "true")]),
    })
}

/// Writes the entry, then the annotation. If this fails, readiness is not
/// announced.
pub(crate) async fn announce(own: &ConfigMapWriter, content: &ConfigMapSpec) -> Result<()> {
    let without_annotation = ConfigMapSpec {
        annotations: BTreeMap::new(),
        ..content.clone()
    };
    own.write(&without_annotation)
        .await
        .context("cannot write the discovery ConfigMap")?;
    own.write(content)
        .await
        .context("cannot announce readiness")?;
    Ok(())
}
