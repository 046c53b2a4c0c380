//! Container: a container of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// A Container has no spec: what it is is said by its status alone.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "Container",
    namespaced,
    no_spec,
    status = "ContainerStatus",
    derive = "PartialEq",
    category = "all",
    selectable = ".status.namespace",
    selectable = ".status.name",
    doc = "Container mirrors a container of the engine. Its name is the engine's full ID. Deleting it removes the engine's container, running or not.",
    printcolumn(
        name = "Name",
        type_ = "string",
        json_path = ".status.name",
        description = "The engine's name of the container"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.imageName",
        description = "The reference that the container was made from"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.status",
        description = "What the container is doing"
    ),
    printcolumn(
        name = "Running",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Running")].status"#,
        description = "Whether processes exist, frozen or not"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the mirror was made"
    )
)]
pub struct ContainerFields {}

/// What the engine says of the container. Written by the mirror alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The engine's name of the container, without its decoration.
    pub name: String,
    /// The engine's namespace that holds the container.
    pub namespace: String,
    /// The program that the container runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The program's arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// ID of the container's image, equal to the status.id of some Image.
    pub image: String,
    /// The reference that the container was made from, such as busybox:latest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_name: String,
    /// Labels of the container's configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the container is doing.
    pub status: ContainerState,
    /// Process ID on the engine's host; 0 when the container does not run.
    pub pid: i32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// The engine's words about a failed start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// When the container was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// When the container last started; kept when it stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<EngineTime>,
    /// When the container last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<EngineTime>,
    /// Ports that the container exposes, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub ports: Vec<ContainerPort>,
    /// Running, Paused, Restarting, OOMKilled and Dead; DeleteFailed while a deletion is refused by the engine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The last action that was asked for here, and how it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_action: Option<LastAction>,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ContainerState {
    #[doc(hidden)]
    Created,
    #[doc(hidden)]
    Running,
    #[doc(hidden)]
    Pausing,
    #[doc(hidden)]
    Paused,
    #[doc(hidden)]
    Restarting,
    #[doc(hidden)]
    Removing,
    #[doc(hidden)]
    Exited,
    #[doc(hidden)]
    Dead,
    #[doc(hidden)]
    #[default]
    #[serde(other)]
    Unknown,
}

/// A port that a container exposes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Number and protocol, such as 80/tcp.
    pub name: String,
    /// Where the port is published, sorted; absent when it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub bindings: Vec<HostBinding>,
}

/// One address on the engine's host that leads to a container's port.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default)]
pub struct HostBinding {
    /// IP address on the engine's host.
    #[serde(rename = "hostIP", skip_serializing_if = "String::is_empty")]
    pub host_ip: String,
    /// Port number on the engine's host.
    #[serde(rename = "hostPort", skip_serializing_if = "String::is_empty")]
    pub host_port: String,
}

/// The last action that was asked for by annotation, and how it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    /// What was asked for: start, stop, pause, unpause or restart; when it is none of them, the annotation's value, cut to 64 bytes.
    pub action: String,
    /// How it went. An action that failed for want of an answer turns to Succeeded when the engine is seen to have done it after all.
    pub state: ActionState,
    /// Why it failed, in the engine's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Why it failed, as one word for programs, such as Conflict, Timeout or InvalidAction.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When the annotation was seen.
    pub observed_at: Time,
    /// When the engine was done with it.
    pub completed_at: Time,
}

/// An action on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ActionName {
    #[doc(hidden)]
    Start,
    #[doc(hidden)]
    Stop,
    #[doc(hidden)]
    Pause,
    #[doc(hidden)]
    Unpause,
    #[doc(hidden)]
    Restart,
}

/// How an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ActionState {
    #[doc(hidden)]
    Succeeded,
    #[doc(hidden)]
    Failed,
}

impl ActionName {
    /// Every action, in the order in which messages list them.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Unpause,
        Self::Restart,
    ];

    /// Reads the value of the [action annotation](crate::ACTION_ANNOTATION);
    /// `None` for what is no action.
    pub fn parse(value: &str) -> Option<Self> {
        Some(match value {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "pause" => Self::Pause,
            "unpause" => Self::Unpause,
            "restart" => Self::Restart,
            _ => return None,
        })
    }

    /// The value of the annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Restart => "restart",
        }
    }
}

/// Whether [`LastAction::action`] names this action.
impl PartialEq<ActionName> for String {
    fn eq(&self, other: &ActionName) -> bool {
        self == other.as_str()
    }
}
