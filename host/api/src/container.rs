//! The kind Container: the mirror of one container of the engine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EngineTime;

/// Spec of a Container: it has none. Its status holds what the engine reports.
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
    doc = "Container mirrors one container of the container engine. Its name is the container's full ID. Deleting it removes the container from the engine, even if it is running.",
    printcolumn(
        name = "Name",
        type_ = "string",
        json_path = ".status.name",
        description = "Name of the container in the engine"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.imageName",
        description = "Image reference that the container was created from"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.status",
        description = "State of the container"
    ),
    printcolumn(
        name = "Running",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Running")].status"#,
        description = "Whether the container has processes, including paused ones"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the mirror was created"
    )
)]
pub struct ContainerFields {}

/// Observed state of the container, as reported by the engine. Written only by the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Name of the container in the engine, without a leading slash.
    pub name: String,
    /// Engine namespace of the container.
    pub namespace: String,
    /// Path of the program that the container runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Arguments of the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// ID of the container's image: the status.id of an Image.
    pub image: String,
    /// Image reference that the container was created from, such as busybox:latest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image_name: String,
    /// Labels of the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// State of the container.
    pub status: ContainerState,
    /// Process ID on the engine's host; 0 if the container is not running.
    pub pid: i32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// Error message of the last failed start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Time at which the container was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<EngineTime>,
    /// Time of the last start; kept after the container stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<EngineTime>,
    /// Time at which the container last exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<EngineTime>,
    /// Ports exposed by the container, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub ports: Vec<ContainerPort>,
    /// Conditions of the container: Running, Paused, Restarting, OOMKilled, and Dead. DeleteFailed is present while the engine refuses to remove the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Most recent action requested with the annotation containers.rancherdesktop.io/action, and its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_action: Option<LastAction>,
}

/// State of a container.
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

/// Port exposed by a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Port number and protocol, such as 80/tcp.
    pub name: String,
    /// Addresses at which the port is published, sorted; absent if the port is not published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub bindings: Vec<HostBinding>,
}

/// Address on the engine's host at which a container's port is published.
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

/// Most recent action requested with the action annotation, and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastAction {
    /// Requested action: start, stop, pause, unpause, or restart. Any other value of the annotation appears here truncated to 64 bytes.
    pub action: String,
    /// Outcome: Succeeded or Failed. An action that failed without a response from the engine changes to Succeeded if the engine turns out to have carried it out.
    pub state: ActionState,
    /// Error message of a failed action, usually from the engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Machine-readable reason for a failure, such as Conflict, Timeout, or InvalidAction.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Time at which the daemon observed the annotation.
    #[schemars(schema_with = "crate::schema::time")]
    pub observed_at: Time,
    /// Time at which the action finished.
    #[schemars(schema_with = "crate::schema::time")]
    pub completed_at: Time,
}

/// Action on a container.
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

/// Outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ActionState {
    #[doc(hidden)]
    Succeeded,
    #[doc(hidden)]
    Failed,
}

impl ActionName {
    /// All actions, in the order in which messages list them.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Unpause,
        Self::Restart,
    ];

    /// Parses a value of the [action annotation](crate::ACTION_ANNOTATION).
    /// Returns `None` if it is not an action.
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

    /// Returns the value of the annotation that requests this action.
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

/// Compares [`LastAction::action`] with an action.
impl PartialEq<ActionName> for String {
    fn eq(&self, other: &ActionName) -> bool {
        self == other.as_str()
    }
}
