//! Requests: things to make or move, asked for by creating an object. A
//! finished one is removed after its time to live.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A container to make. Cannot be changed once created.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "ContainerCreateRequest",
    namespaced,
    status = "ContainerCreateRequestStatus",
    derive = "PartialEq",
    selectable = ".spec.namespace",
    doc = "ContainerCreateRequest asks the engine to make a container.",
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Complete")].status"#,
        description = "Whether the container is made"
    ),
    printcolumn(
        name = "Failed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Failed")].status"#,
        description = "Whether the engine refused"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the request was made"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ContainerCreateRequestSpec {
    /// The engine's namespace to make it in; the backend's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The engine's name of the container; chosen by the engine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tag, digest or ID of the image.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Replaces the image's entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// Labels of the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether to start it once it is made.
    #[serde(default)]
    pub start: bool,
    /// Seconds that the finished request stays; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// What became of the request. Written by the daemon alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerCreateRequestStatus {
    /// ID of the new container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Complete or Failed, never both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A volume to make. Cannot be changed once created.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "VolumeCreateRequest",
    namespaced,
    status = "VolumeCreateRequestStatus",
    derive = "PartialEq",
    selectable = ".spec.namespace",
    doc = "VolumeCreateRequest asks the engine to make a volume.",
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Complete")].status"#,
        description = "Whether the volume is made"
    ),
    printcolumn(
        name = "Failed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Failed")].status"#,
        description = "Whether the engine refused"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the request was made"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct VolumeCreateRequestSpec {
    /// The engine's namespace to make it in; the backend's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The engine's name of the volume; chosen by the engine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The volume driver; the engine's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Options of the volume driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels of the volume.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Seconds that the finished request stays; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// What became of the request. Written by the daemon alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeCreateRequestStatus {
    /// The engine's name of the new volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Complete or Failed, never both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// An image to pull. Cannot be changed once created.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "ImagePullRequest",
    namespaced,
    status = "TransferStatus",
    derive = "PartialEq",
    selectable = ".spec.namespace",
    doc = "ImagePullRequest asks the engine to pull an image.",
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Complete")].status"#,
        description = "Whether the image is pulled"
    ),
    printcolumn(
        name = "Failed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Failed")].status"#,
        description = "Whether the engine or the registry refused"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the request was made"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ImagePullRequestSpec {
    /// The engine's namespace to pull into; the backend's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Tag or digest of the image, with its registry where that is not the engine's default.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Operating system and architecture, such as linux/amd64; the engine's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Seconds that the finished request stays; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// An image to push. Cannot be changed once created.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "ImagePushRequest",
    namespaced,
    status = "TransferStatus",
    derive = "PartialEq",
    doc = "ImagePushRequest asks the engine to push a tag to its registry.",
    printcolumn(
        name = "Complete",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Complete")].status"#,
        description = "Whether the image is pushed"
    ),
    printcolumn(
        name = "Failed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Failed")].status"#,
        description = "Whether the engine or the registry refused"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the request was made"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ImagePushRequestSpec {
    /// Tag of the image, with its registry where that is not the engine's default.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Seconds that the finished request stays; 300 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// What became of a pull or push. Written by the daemon alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransferStatus {
    /// How far it has come; written at most once a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Complete or Failed, never both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far a pull or push has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Progress {
    /// Bytes transferred.
    pub bytes_done: i64,
    /// Bytes in all, as far as is known.
    pub bytes_total: i64,
    /// Layers transferred.
    pub layers_done: i32,
    /// Layers in all, as far as is known.
    pub layers_total: i32,
}
