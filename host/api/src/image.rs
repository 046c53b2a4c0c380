//! The kind Image: the mirror of one tag of an image of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// Spec of an Image: it has none. Its status holds what the engine reports.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "Image",
    namespaced,
    no_spec,
    status = "ImageStatus",
    derive = "PartialEq",
    category = "all",
    selectable = ".status.namespace",
    selectable = ".status.id",
    selectable = ".status.repoTag",
    doc = "Image mirrors one tag of an image of the container engine, or an image that has no tags. Deleting it removes the tag from the engine, and the image itself with its last tag.",
    printcolumn(
        name = "Tag",
        type_ = "string",
        json_path = ".status.repoTag",
        description = "Tag; empty for a dangling image"
    ),
    printcolumn(
        name = "Created",
        type_ = "date",
        json_path = ".status.createdAt",
        description = "Time since the image was built"
    ),
    printcolumn(
        name = "Size",
        type_ = "integer",
        format = "int64",
        json_path = ".status.size",
        description = "Size of the image in bytes"
    )
)]
pub struct ImageFields {}

/// Observed state of the image, as reported by the engine. Written only by the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStatus {
    /// Engine namespace of the image.
    pub namespace: String,
    /// ID of the image in the engine, such as sha256:….
    pub id: String,
    /// Tag that this object represents; absent for a dangling image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_tag: Option<String>,
    /// Digests of the image in registries, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub repo_digests: Vec<String>,
    /// Time at which the image was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// Processor architecture, such as amd64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// Operating system, such as linux.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// Size of the image in bytes.
    pub size: i64,
    /// Labels of the image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Conditions of the image. DeleteFailed is present while the engine refuses to remove it; there are no others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}
