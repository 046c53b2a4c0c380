//! The kind Volume: the mirror of one volume of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// Spec of a Volume: it has none. Its status holds what the engine reports.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "Volume",
    namespaced,
    no_spec,
    status = "VolumeStatus",
    derive = "PartialEq",
    category = "all",
    selectable = ".status.namespace",
    selectable = ".status.name",
    doc = "Volume mirrors one volume of the container engine. Deleting it removes the volume from the engine, unless the volume is in use.",
    printcolumn(
        name = "Name",
        type_ = "string",
        json_path = ".status.name",
        description = "Name of the volume in the engine"
    ),
    printcolumn(
        name = "Driver",
        type_ = "string",
        json_path = ".status.driver",
        description = "Volume driver"
    )
)]
pub struct VolumeFields {}

/// Observed state of the volume, as reported by the engine. Written only by the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeStatus {
    /// Name of the volume in the engine.
    pub name: String,
    /// Engine namespace of the volume.
    pub namespace: String,
    /// Time at which the volume was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// Volume driver, such as local.
    pub driver: String,
    /// Path of the volume on the engine's host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mountpoint: String,
    /// Labels of the volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Scope of the volume: local or global.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Options of the volume driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Conditions of the volume. DeleteFailed is present while the engine refuses to remove it; there are no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}
