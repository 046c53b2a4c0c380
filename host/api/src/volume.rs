//! Volume: a volume of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// A Volume has no spec: what it is is said by its status alone.
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
    doc = "Volume mirrors a volume of the engine. Deleting it removes the engine's volume unless that is in use.",
    printcolumn(
        name = "Name",
        type_ = "string",
        json_path = ".status.name",
        description = "The engine's name of the volume"
    ),
    printcolumn(
        name = "Driver",
        type_ = "string",
        json_path = ".status.driver",
        description = "The volume driver"
    )
)]
pub struct VolumeFields {}

/// What the engine says of the volume. Written by the mirror alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeStatus {
    /// The engine's name of the volume.
    pub name: String,
    /// The engine's namespace that holds the volume.
    pub namespace: String,
    /// When the volume was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// The volume driver, such as local.
    pub driver: String,
    /// Where the volume lies on the engine's host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mountpoint: String,
    /// Labels of the volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Reach of the volume, such as local or global.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Options of the volume driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// DeleteFailed while a deletion is refused by the engine; else none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
