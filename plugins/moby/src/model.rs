//! What the engine answers: the fields that are used, and no others.
//!
//! Every field may be absent or nonsense (see [`lenient`](crate::lenient));
//! only a document that is no JSON at all fails. Environment variables have
//! no field here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lenient::{list, map, or_default};

/// An element of `GET /containers/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ContainerSummary {
    #[serde(deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(deserialize_with = "list")]
    pub(crate) names: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) image: String,
    #[serde(rename = "ImageID", deserialize_with = "or_default")]
    pub(crate) image_id: String,
    /// Seconds since 1970.
    #[serde(deserialize_with = "or_default")]
    pub(crate) created: i64,
    #[serde(deserialize_with = "map")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) state: String,
}

/// `GET /containers/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Container {
    #[serde(deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) created: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) path: String,
    #[serde(deserialize_with = "list")]
    pub(crate) args: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) image: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) state: State,
    #[serde(deserialize_with = "or_default")]
    pub(crate) config: ContainerConfig,
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_settings: NetworkSettings,
}

/// `State` of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct State {
    #[serde(deserialize_with = "or_default")]
    pub(crate) status: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) running: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) paused: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) restarting: bool,
    #[serde(rename = "OOMKilled", deserialize_with = "or_default")]
    pub(crate) oom_killed: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) dead: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) pid: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) exit_code: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) error: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) started_at: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) finished_at: String,
}

/// `Config` of a container, as far as it is no secret.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ContainerConfig {
    /// The reference that the container was made from.
    #[serde(deserialize_with = "or_default")]
    pub(crate) image: String,
    #[serde(deserialize_with = "map")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tty: bool,
}

/// `NetworkSettings` of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct NetworkSettings {
    #[serde(deserialize_with = "map")]
    pub(crate) ports: BTreeMap<String, Bindings>,
}

/// Where a port is published; null when it is only exposed.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bindings(#[serde(deserialize_with = "list")] pub(crate) Vec<Binding>);

/// One published address.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Binding {
    #[serde(deserialize_with = "or_default")]
    pub(crate) host_ip: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) host_port: String,
}

/// An element of `GET /images/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ImageSummary {
    #[serde(deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(deserialize_with = "list")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub(crate) repo_digests: Vec<String>,
    /// Seconds since 1970.
    #[serde(deserialize_with = "or_default")]
    pub(crate) created: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) size: i64,
    #[serde(deserialize_with = "map")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Image {
    #[serde(deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(deserialize_with = "list")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub(crate) repo_digests: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) created: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) architecture: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) os: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) size: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) config: ImageConfig,
}

/// `Config` of an image, as far as it is no secret.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ImageConfig {
    #[serde(deserialize_with = "map")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// A volume, listed or by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Volume {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) driver: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) mountpoint: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) created_at: String,
    #[serde(deserialize_with = "map")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) scope: String,
    #[serde(deserialize_with = "map")]
    pub(crate) options: BTreeMap<String, String>,
}

/// `GET /version`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    #[serde(rename = "MinAPIVersion", deserialize_with = "or_default")]
    pub(crate) min_api_version: String,
}

/// The body of a failure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Failure {
    #[serde(deserialize_with = "or_default")]
    pub(crate) message: String,
}

/// A line of `GET /events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct EventLine {
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) action: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) actor: Actor,
}

/// What an event is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Actor {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(rename = "Attributes", deserialize_with = "map")]
    pub(crate) attributes: BTreeMap<String, String>,
}
