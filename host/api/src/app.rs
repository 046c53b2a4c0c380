//! The kind App: which container engine is mirrored, and the observed state.
#![expect(
    unreachable_pub,
    reason = "the schema derive generates a public copy of the spec inside this module"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_BACKEND, DEFAULT_NAMESPACE};

/// Desired state. Written by the user; the daemon creates the App if it does not exist.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "app.rancherdesktop.io",
    version = "v1alpha1",
    kind = "App",
    status = "AppStatus",
    derive = "PartialEq",
    doc = "App selects the container engine to mirror and turns mirroring on or off. There is exactly one, named app.",
    validation = Rule::new("self.metadata.name == 'app'").message("the only App is named \"app\""),
    printcolumn(
        name = "Engine",
        type_ = "string",
        json_path = ".spec.containerEngine.name",
        description = "Name of the selected backend"
    ),
    printcolumn(
        name = "Running",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Running")].status"#,
        description = "Whether the engine is mirrored"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ContainerEngineReady")].status"#,
        description = "Whether the engine is mirrored and can be called"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ContainerEngineReady")].reason"#,
        description = "Reason for the Ready status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the App was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AppSpec {
    /// The engine to mirror.
    #[serde(default)]
    pub container_engine: ContainerEngineSpec,
    /// Whether the engine is mirrored. Setting this to false deletes every mirror; nothing in the engine changes.
    #[serde(default)]
    pub running: bool,
    /// Namespace of the mirrors. Immutable.
    #[serde(default = "default_namespace")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
        extend("x-kubernetes-validations" = [
            {"rule": "self == oldSelf", "message": "spec.namespace is immutable"}
        ])
    )]
    pub namespace: String,
}

/// Selects a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerEngineSpec {
    /// Name of the backend, such as moby. If no such backend is installed, the condition ContainerEngineReady is False with the reason BackendNotInstalled.
    #[serde(default = "default_backend")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
}

impl Default for ContainerEngineSpec {
    fn default() -> Self {
        Self {
            name: default_backend(),
        }
    }
}

fn default_backend() -> String {
    DEFAULT_BACKEND.to_owned()
}

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.to_owned()
}

/// Observed state. Written only by the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppStatus {
    /// Conditions of the App: Running, ContainerEngineReady, and Settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}
