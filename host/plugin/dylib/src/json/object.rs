//! Objects from a library.

use std::collections::BTreeMap;

use rdd_core::{
    Container, ContainerState, EngineObject, ExposedPort, Image, ObjectKind, ObjectRef,
    PortBinding, Timestamp, Volume,
};
use serde::{Deserialize, Serialize};

use super::TimestampRecord;
use crate::library_fault::{LibraryFault, contract_fault};

/// `object-kind`
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KindName {
    Container,
    Image,
    Volume,
    Namespace,
}

impl From<ObjectKind> for KindName {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Container => Self::Container,
            ObjectKind::Image => Self::Image,
            ObjectKind::Volume => Self::Volume,
            ObjectKind::Namespace => Self::Namespace,
        }
    }
}

/// `object-ref`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefRecord {
    kind: KindName,
    namespace: String,
    id: String,
}

impl From<RefRecord> for ObjectRef {
    fn from(
        RefRecord {
            kind,
            namespace,
            id,
        }: RefRecord,
    ) -> Self {
        let kind = match kind {
            KindName::Container => ObjectKind::Container,
            KindName::Image => ObjectKind::Image,
            KindName::Volume => ObjectKind::Volume,
            KindName::Namespace => ObjectKind::Namespace,
        };
        Self::new(kind, namespace, id)
    }
}

/// `port-binding`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BindingRecord {
    host_ip: String,
    host_port: String,
}

/// `port`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortRecord {
    name: String,
    bindings: Vec<BindingRecord>,
}

impl From<PortRecord> for ExposedPort {
    fn from(PortRecord { name, bindings }: PortRecord) -> Self {
        let bindings = bindings
            .into_iter()
            .map(|BindingRecord { host_ip, host_port }| PortBinding { host_ip, host_port })
            .collect();
        Self { name, bindings }
    }
}

impl From<&ExposedPort> for PortRecord {
    fn from(ExposedPort { name, bindings }: &ExposedPort) -> Self {
        Self {
            name: name.clone(),
            bindings: bindings
                .iter()
                .map(|PortBinding { host_ip, host_port }| BindingRecord {
                    host_ip: host_ip.clone(),
                    host_port: host_port.clone(),
                })
                .collect(),
        }
    }
}

/// `container-state`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateName {
    Created,
    Running,
    Pausing,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
    Unknown,
}

/// `container`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ContainerRecord {
    id: String,
    name: String,
    namespace: String,
    path: String,
    args: Vec<String>,
    image_id: String,
    image_name: String,
    labels: Vec<(String, String)>,
    state: StateName,
    pid: i32,
    exit_code: i32,
    error: String,
    #[serde(default)]
    created_at: Option<TimestampRecord>,
    #[serde(default)]
    started_at: Option<TimestampRecord>,
    #[serde(default)]
    finished_at: Option<TimestampRecord>,
    ports: Vec<PortRecord>,
    running: bool,
    paused: bool,
    restarting: bool,
    oom_killed: bool,
    dead: bool,
    tty: bool,
}

/// `image`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ImageRecord {
    id: String,
    namespace: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    #[serde(default)]
    created_at: Option<TimestampRecord>,
    architecture: String,
    os: String,
    size: i64,
    labels: Vec<(String, String)>,
}

/// `volume`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct VolumeRecord {
    name: String,
    namespace: String,
    #[serde(default)]
    created_at: Option<TimestampRecord>,
    driver: String,
    mountpoint: String,
    labels: Vec<(String, String)>,
    scope: String,
    options: Vec<(String, String)>,
}

/// `object`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ObjectVariant {
    Container(Box<ContainerRecord>),
    Image(ImageRecord),
    Volume(VolumeRecord),
    Namespace(String),
}

impl ObjectVariant {
    pub(super) fn into_object(self) -> Result<EngineObject, LibraryFault> {
        Ok(match self {
            Self::Container(it) => EngineObject::Container(container(*it)?),
            Self::Image(it) => EngineObject::Image(image(it)?),
            Self::Volume(it) => EngineObject::Volume(volume(it)?),
            Self::Namespace(name) => EngineObject::Namespace(name),
        })
    }
}

fn container(it: ContainerRecord) -> Result<Container, LibraryFault> {
    Ok(Container {
        id: it.id,
        name: it.name,
        namespace: it.namespace,
        path: it.path,
        args: it.args,
        image_id: it.image_id,
        image_name: it.image_name,
        labels: map("labels", it.labels)?,
        state: match it.state {
            StateName::Created => ContainerState::Created,
            StateName::Running => ContainerState::Running,
            StateName::Pausing => ContainerState::Pausing,
            StateName::Paused => ContainerState::Paused,
            StateName::Restarting => ContainerState::Restarting,
            StateName::Removing => ContainerState::Removing,
            StateName::Exited => ContainerState::Exited,
            StateName::Dead => ContainerState::Dead,
            StateName::Unknown => ContainerState::Unknown,
        },
        pid: it.pid,
        exit_code: it.exit_code,
        error: it.error,
        created_at: time("created-at", it.created_at)?,
        started_at: time("started-at", it.started_at)?,
        finished_at: time("finished-at", it.finished_at)?,
        ports: it.ports.into_iter().map(ExposedPort::from).collect(),
        running: it.running,
        paused: it.paused,
        restarting: it.restarting,
        oom_killed: it.oom_killed,
        dead: it.dead,
        tty: it.tty,
    })
}

fn image(it: ImageRecord) -> Result<Image, LibraryFault> {
    Ok(Image {
        id: it.id,
        namespace: it.namespace,
        repo_tags: it.repo_tags,
        repo_digests: it.repo_digests,
        created_at: time("created-at", it.created_at)?,
        architecture: it.architecture,
        os: it.os,
        size: it.size,
        labels: map("labels", it.labels)?,
    })
}

fn volume(it: VolumeRecord) -> Result<Volume, LibraryFault> {
    Ok(Volume {
        name: it.name,
        namespace: it.namespace,
        created_at: time("created-at", it.created_at)?,
        driver: it.driver,
        mountpoint: it.mountpoint,
        labels: map("labels", it.labels)?,
        scope: it.scope,
        options: map("options", it.options)?,
    })
}

/// Converts a list of pairs. A key that occurs twice is a violation, as in a
/// component.
fn map(
    field: &str,
    pairs: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, LibraryFault> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.contains_key(&key) {
            return Err(contract_fault!(
                "{field} contains the key {} twice",
                rdd_core::text::quote(&key, 80)
            ));
        }
        map.insert(key, value);
    }
    Ok(map)
}

fn time(field: &str, time: Option<TimestampRecord>) -> Result<Option<Timestamp>, LibraryFault> {
    let Some(TimestampRecord {
        seconds,
        nanoseconds,
    }) = time
    else {
        return Ok(None);
    };
    match Timestamp::new(seconds, nanoseconds) {
        Some(time) => Ok(Some(time)),
        None => Err(contract_fault!(
            "{field} has {nanoseconds} nanoseconds; fewer than 1000000000 are allowed"
        )),
    }
}
