//! App: what the user wants of the engine, and how far that has come.
#![expect(
    unreachable_pub,
    reason = "the schema derive makes a public twin of the spec inside this module"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DEFAULT_BACKEND, DEFAULT_NAMESPACE};

/// What the user wants. Written by the user; the daemon writes the first one.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "app.rancherdesktop.io",
    version = "v1alpha1",
    kind = "App",
    status = "AppStatus",
    derive = "PartialEq",
    doc = "App says which container engine is mirrored, and whether. There is one, named app.",
    validation = Rule::new("self.metadata.name == 'app'").message("the only App is named \"app\""),
    printcolumn(
        name = "Engine",
        type_ = "string",
        json_path = ".spec.containerEngine.name",
        description = "The chosen backend"
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
        description = "Whether the engine can be asked"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ContainerEngineReady")].reason"#,
        description = "Why the engine can or cannot be asked"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the App was made"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AppSpec {
    /// The engine to mirror.
    #[serde(default)]
    pub container_engine: ContainerEngineSpec,
    /// Whether the engine is mirrored. When this turns false, every mirror goes; the engine itself is left alone.
    #[serde(default)]
    pub running: bool,
    /// Namespace that holds the mirrors. Cannot be changed.
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

/// Which backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerEngineSpec {
    /// Name of a backend, such as moby. It need not be installed: the condition ContainerEngineReady tells.
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

/// How far it has come. Written by the mirror alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppStatus {
    /// Running, ContainerEngineReady and Settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
