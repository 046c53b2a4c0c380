//! Image: one tag of an image of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// An Image has no spec: what it is is said by its status alone.
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
    doc = "Image mirrors one tag of an image of the engine, or an image without tags. Deleting it removes the tag, and the image with its last one.",
    printcolumn(
        name = "Tag",
        type_ = "string",
        json_path = ".status.repoTag",
        description = "The tag; empty for a dangling image"
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
        description = "Size in bytes"
    )
)]
pub struct ImageFields {}

/// What the engine says of the image. Written by the mirror alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageStatus {
    /// The engine's namespace that holds the image.
    pub namespace: String,
    /// The engine's ID, such as sha256:….
    pub id: String,
    /// The tag that this object stands for; absent for a dangling image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_tag: Option<String>,
    /// Digests by which registries know the image, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub repo_digests: Vec<String>,
    /// When the image was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// Processor architecture, such as amd64.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// Operating system, such as linux.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// Size in bytes.
    pub size: i64,
    /// Labels of the image's configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// DeleteFailed while a deletion is refused by the engine; else none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
