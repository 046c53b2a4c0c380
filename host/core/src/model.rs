//! What an engine holds, in the engine's own terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Processes run.
    Running,
    /// On the way to paused.
    Pausing,
    /// Processes exist but are frozen.
    Paused,
    /// Between two runs under a restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Ran and ended.
    Exited,
    /// Half removed; the engine gave up.
    Dead,
    /// A state that this version does not know.
    Unknown,
}

/// One address on the engine's host that leads to a container's port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// An IP address as the engine printed it; empty when it gave none.
    pub host_ip: String,
    /// Decimal digits; empty when the engine gave none.
    pub host_port: String,
}

/// A port that a container exposes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExposedPort {
    /// Number and protocol, such as `80/tcp`.
    pub name: String,
    /// Empty when the port is not published.
    pub bindings: Vec<PortBinding>,
}

/// A container, without its environment: secrets live there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's full ID, in the backend's [`IdFormat`](crate::IdFormat).
    pub id: String,
    /// The name without the engine's decoration.
    pub name: String,
    /// The engine's namespace that holds it.
    pub namespace: String,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// The ID of its image, equal to some [`Image::id`].
    pub image_id: String,
    /// The reference that it was made from, such as `busybox:latest`; empty
    /// when the engine gave none.
    pub image_name: String,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// What it is doing.
    pub state: ContainerState,
    /// Process ID on the engine's host; 0 when it does not run.
    pub pid: i32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// The engine's words about a failed start; empty when there are none.
    pub error: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// Sorted by name.
    pub ports: Vec<ExposedPort>,
    /// Whether processes exist; true while paused.
    pub running: bool,
    /// Whether it is frozen.
    pub paused: bool,
    /// Whether a restart policy is about to start it again.
    pub restarting: bool,
    /// Whether the kernel killed it for its memory.
    pub oom_killed: bool,
    /// Whether the engine gave up removing it.
    pub dead: bool,
    /// Whether its output is one raw terminal stream.
    pub tty: bool,
}

/// An image, whatever number of tags it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The engine's ID, such as `sha256:…`.
    pub id: String,
    /// The engine's namespace that holds it.
    pub namespace: String,
    /// Sorted; empty for a dangling image.
    pub repo_tags: Vec<String>,
    /// Sorted.
    pub repo_digests: Vec<String>,
    /// When it was built.
    pub created_at: Option<Timestamp>,
    /// Such as `amd64`; empty when the engine gave none.
    pub architecture: String,
    /// Such as `linux`; empty when the engine gave none.
    pub os: String,
    /// Bytes.
    pub size: i64,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The engine's name of it.
    pub name: String,
    /// The engine's namespace that holds it.
    pub namespace: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The volume driver, such as `local`.
    pub driver: String,
    /// Where it lies on the engine's host.
    pub mountpoint: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Such as `local` or `global`.
    pub scope: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

/// The kinds of object that a backend reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A [`Container`].
    Container,
    /// An [`Image`].
    Image,
    /// A [`Volume`].
    Volume,
    /// A namespace of the engine.
    Namespace,
}

/// One object as the engine has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineObject {
    /// A container.
    Container(Container),
    /// An image.
    Image(Image),
    /// A volume.
    Volume(Volume),
    /// The name of a namespace of the engine.
    Namespace(String),
}

impl EngineObject {
    /// Names this object.
    pub fn reference(&self) -> ObjectRef {
        let (kind, id) = match self {
            Self::Container(container) => (ObjectKind::Container, &container.id),
            Self::Image(image) => (ObjectKind::Image, &image.id),
            Self::Volume(volume) => (ObjectKind::Volume, &volume.name),
            Self::Namespace(name) => (ObjectKind::Namespace, name),
        };
        ObjectRef {
            kind,
            id: id.clone(),
        }
    }
}

/// Names one object: a container or an image by ID, a volume or a namespace
/// by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// What kind of object it is.
    pub kind: ObjectKind,
    /// Its ID or name.
    pub id: String,
}
