//! The objects of a container engine, in the engine's own terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The state of a container. The names are docker's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Created and never started.
    Created,
    /// Its processes run.
    Running,
    /// Changing from running to paused.
    Pausing,
    /// Its processes exist and are frozen.
    Paused,
    /// Waiting for its restart policy to start it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Started and exited.
    Exited,
    /// Partly removed: the engine failed to complete the removal.
    Dead,
    /// A state that this version does not support.
    #[default]
    Unknown,
}

/// An address on the engine's host to which a container's port is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortBinding {
    /// The IP address as printed by the engine; empty if it gave none.
    pub host_ip: String,
    /// The port number in decimal digits; empty if the engine gave none.
    pub host_port: String,
}

/// A port that a container exposes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExposedPort {
    /// The port number and protocol, such as `80/tcp`.
    pub name: String,
    /// The published addresses; empty if the port is not published.
    pub bindings: Vec<PortBinding>,
}

/// The label that Docker Compose gives the containers of a project.
pub const COMPOSE_PROJECT_LABEL: &str = "com.docker.compose.project";

/// A container. Its environment variables are left out because they often hold
/// secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The engine's full ID, in the backend's [`IdFormat`](crate::IdFormat).
    pub id: String,
    /// The name, without the engine's decoration such as docker's leading `/`.
    pub name: String,
    /// The engine's namespace that the container belongs to.
    pub namespace: String,
    /// The program that the container runs.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// The ID of the container's image, equal to an [`Image::id`].
    pub image_id: String,
    /// The image reference that the container was created from, such as
    /// `busybox:latest`; empty if the engine gave none.
    pub image_name: String,
    /// The labels of the container's configuration.
    pub labels: BTreeMap<String, String>,
    /// The current state.
    pub state: ContainerState,
    /// The ID of the main process on the engine's host; 0 if there is none.
    pub pid: i32,
    /// The exit code of the last run.
    pub exit_code: i32,
    /// The engine's message about a failed start; empty if there is none.
    pub error: String,
    /// When the container was created.
    pub created_at: Option<Timestamp>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last exited.
    pub finished_at: Option<Timestamp>,
    /// The exposed ports, sorted by name.
    pub ports: Vec<ExposedPort>,
    /// Whether it has processes; also true while it is paused.
    pub running: bool,
    /// Whether its processes are frozen.
    pub paused: bool,
    /// Whether its restart policy is about to start it again.
    pub restarting: bool,
    /// Whether the kernel killed it because it ran out of memory.
    pub oom_killed: bool,
    /// Whether the engine failed to complete its removal.
    pub dead: bool,
    /// Whether its output is one raw terminal stream.
    pub tty: bool,
}

impl Container {
    /// Returns the reference by which this container is called.
    pub fn container_ref(&self) -> ContainerRef {
        ContainerRef::new(&self.namespace, &self.id)
    }
}

/// An image, with any number of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The engine's ID, such as `sha256:…`.
    pub id: String,
    /// The engine's namespace that the image belongs to.
    pub namespace: String,
    /// The tags, sorted; empty for a dangling image.
    pub repo_tags: Vec<String>,
    /// The digests, sorted.
    pub repo_digests: Vec<String>,
    /// When the image was built.
    pub created_at: Option<Timestamp>,
    /// The CPU architecture, such as `amd64`; empty if the engine gave none.
    pub architecture: String,
    /// The operating system, such as `linux`; empty if the engine gave none.
    pub os: String,
    /// The size in bytes.
    pub size: i64,
    /// The labels of the image's configuration.
    pub labels: BTreeMap<String, String>,
}

/// A volume. It has no ID: its name and its creation time identify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The engine's name for the volume.
    pub name: String,
    /// The engine's namespace that the volume belongs to.
    pub namespace: String,
    /// When the volume was created.
    pub created_at: Option<Timestamp>,
    /// The volume driver, such as `local`.
    pub driver: String,
    /// The path of the volume's content on the engine's host.
    pub mountpoint: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The scope: `local` to one host, or `global` to a cluster.
    pub scope: String,
    /// The driver options.
    pub options: BTreeMap<String, String>,
}

/// The kinds of objects that a backend reports.
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

/// The current state of one object of the engine.
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
    /// Returns the reference by which this object is inspected and removed.
    ///
    /// ```
    /// use rdd_core::{EngineObject, ObjectKind, ObjectRef};
    ///
    /// let reference = EngineObject::Namespace("moby".to_owned()).reference();
    /// assert_eq!(reference, ObjectRef::new(ObjectKind::Namespace, "moby", "moby"));
    /// ```
    pub fn reference(&self) -> ObjectRef {
        let (kind, id) = match self {
            Self::Container(container) => (ObjectKind::Container, &container.id),
            Self::Image(image) => (ObjectKind::Image, &image.id),
            Self::Volume(volume) => (ObjectKind::Volume, &volume.name),
            Self::Namespace(name) => (ObjectKind::Namespace, name),
        };
        ObjectRef::new(kind, self.namespace(), id)
    }

    /// Returns the engine's namespace that the object belongs to, which for a
    /// namespace is its own name.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Container(container) => &container.namespace,
            Self::Image(image) => &image.namespace,
            Self::Volume(volume) => &volume.namespace,
            Self::Namespace(name) => name,
        }
    }
}

/// A reference to one object of the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind of the object.
    pub kind: ObjectKind,
    /// The engine's namespace that the object belongs to. The reference of a
    /// namespace has its name here as well.
    pub namespace: String,
    /// The ID of a container or an image; the name of a volume or a namespace.
    /// It is unique within the kind and the namespace.
    pub id: String,
}

impl ObjectRef {
    /// Creates the reference to the object `id` of `namespace`.
    pub fn new(kind: ObjectKind, namespace: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            id: id.into(),
        }
    }
}

/// A reference to one container of the engine.
///
/// ```
/// use rdd_core::{ContainerRef, ObjectKind, ObjectRef};
///
/// let container = ContainerRef::new("k8s.io", "web");
/// assert_eq!(
///     ObjectRef::from(container),
///     ObjectRef::new(ObjectKind::Container, "k8s.io", "web")
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerRef {
    /// The engine's namespace that the container belongs to.
    pub namespace: String,
    /// The engine's full ID, which is unique within the namespace.
    pub id: String,
}

impl ContainerRef {
    /// Creates the reference to the container `id` of `namespace`.
    pub fn new(namespace: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            id: id.into(),
        }
    }
}

impl From<ContainerRef> for ObjectRef {
    fn from(ContainerRef { namespace, id }: ContainerRef) -> Self {
        Self {
            kind: ObjectKind::Container,
            namespace,
            id,
        }
    }
}
