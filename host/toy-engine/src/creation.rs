//! Containers, volumes, images, and namespaces to create.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdd_core::{
    Container, ContainerRef, ContainerSpec, ContainerState, EngineError, EngineObject, ErrorCode,
    ExposedPort, Image, MountKind, ObjectKind, ObjectRef, Volume, VolumeSpec, text,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::container_log::ContainerLog;
use crate::state::{ContainerRecord, EngineState, conflict, invalid, not_found};
use crate::{DEFAULT_NAMESPACE, OTHER_NAMESPACE, clock};

/// The maximum length of a container's ID in bytes.
const MAX_ID_BYTES: usize = 64;

/// The maximum number of objects.
const MAX_OBJECTS: usize = 10_000;

/// The first of the ports that the engine chooses by itself, and their number.
const FREE_PORTS: (u64, u64) = (49_152, 16_384);

impl EngineState {
    /// Creates a container and returns its ID, which is generated if `None`.
    pub(crate) fn create_container(
        &mut self,
        spec: &ContainerSpec,
        id: Option<&str>,
    ) -> Result<String, EngineError> {
        self.check_creation(&spec.namespace)?;
        check_spec(spec)?;
        let image = tagged(&spec.image);
        let image_id = self
            .image(&spec.namespace, &image)
            .or_else(|| self.image(&spec.namespace, &spec.image))
            .map(|image| image.id.clone())
            .ok_or_else(|| not_found("image", &spec.image))?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => format!("c{:07}", self.next_serial()),
        };
        if !text::is_identifier(&id, MAX_ID_BYTES) {
            return Err(invalid(format!("{id:?} is no ID of a container")));
        }
        let reference = ContainerRef::new(&spec.namespace, &id);
        let name = spec.name.clone().unwrap_or_else(|| id.clone());
        if self.containers.contains_key(&reference) || self.has_container(&spec.namespace, &name) {
            return Err(conflict(format!("the container name {name:?} is in use")));
        }
        let mut words = [spec.command.as_slice(), spec.args.as_slice()].concat();
        if words.is_empty() {
            words.push("ticker".to_owned());
        }
        for mount in &spec.mounts {
            self.ensure_volume(&spec.namespace, mount)?;
        }
        let container = Container {
            id: id.clone(),
            name,
            namespace: spec.namespace.clone(),
            path: words.first().cloned().unwrap_or_default(),
            args: words.iter().skip(1).cloned().collect(),
            image_id,
            image_name: spec.image.clone(),
            labels: spec.labels.clone(),
            state: ContainerState::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            created_at: Some(clock::timestamp(clock::now())),
            started_at: None,
            finished_at: None,
            ports: self.published(&spec.ports),
            running: false,
            paused: false,
            restarting: false,
            oom_killed: false,
            dead: false,
            tty: spec.tty,
        };
        let record = ContainerRecord {
            log: Arc::new(ContainerLog::default()),
            words,
            env: spec.env.clone(),
            working_dir: spec.working_dir.clone(),
            user: spec.user.clone(),
            mounts: spec.mounts.clone(),
            restart_policy: spec.restart_policy,
            restarts: 0,
            paused: watch::Sender::new(false),
            run: CancellationToken::new(),
        };
        self.containers.insert(reference, record);
        self.apply(EngineObject::Container(container));
        Ok(id)
    }

    /// Creates a volume and returns its name.
    pub(crate) fn create_volume(&mut self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.check_creation(&spec.namespace)?;
        let driver = spec.driver.as_deref().unwrap_or("local");
        if driver != "local" {
            return Err(not_found("volume driver", driver));
        }
        let name = match &spec.name {
            Some(name) if name.is_empty() => return Err(invalid("the name is empty")),
            Some(name) => name.clone(),
            None => format!("v{:07}", self.next_serial()),
        };
        let reference = ObjectRef::new(ObjectKind::Volume, &spec.namespace, &name);
        if self.objects.contains_key(&reference) {
            return Err(conflict(format!("the volume {name:?} exists")));
        }
        self.apply(EngineObject::Volume(Volume {
            namespace: spec.namespace.clone(),
            created_at: Some(clock::timestamp(clock::now())),
            driver: driver.to_owned(),
            mountpoint: format!("/toy/{}/{name}", spec.namespace),
            labels: spec.labels.clone(),
            scope: "local".to_owned(),
            options: spec.options.clone(),
            name: name.clone(),
        }));
        Ok(name)
    }

    /// Creates an image with these tags, which other images lose.
    pub(crate) fn add_image(
        &mut self,
        namespace: &str,
        id: String,
        tags: &[String],
        digests: &[String],
        (os, architecture): (&str, &str),
    ) {
        for tag in tags {
            if let Some(image) = self.image(namespace, tag) {
                let mut image = image.clone();
                image.repo_tags.retain(|other| other != tag);
                self.apply(EngineObject::Image(image));
            }
        }
        let mut repo_tags = tags.to_vec();
        repo_tags.sort();
        self.apply(EngineObject::Image(Image {
            id,
            namespace: namespace.to_owned(),
            repo_tags,
            repo_digests: digests.to_vec(),
            created_at: Some(clock::timestamp(clock::now())),
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            size: 1_234_567,
            labels: BTreeMap::new(),
        }));
    }

    /// Returns whether this namespace exists.
    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        [DEFAULT_NAMESPACE, OTHER_NAMESPACE].contains(&name)
            || self
                .objects
                .contains_key(&ObjectRef::new(ObjectKind::Namespace, name, name))
    }

    fn check_creation(&self, namespace: &str) -> Result<(), EngineError> {
        if !self.has_namespace(namespace) {
            return Err(not_found("namespace", namespace));
        }
        if self.objects.len() >= MAX_OBJECTS {
            return Err(EngineError::new(
                ErrorCode::Unavailable,
                format!("the engine has {MAX_OBJECTS} objects, the maximum"),
            ));
        }
        Ok(())
    }

    fn has_container(&self, namespace: &str, name: &str) -> bool {
        self.objects.values().any(|object| match &**object {
            EngineObject::Container(container) => {
                container.namespace == namespace && container.name == name
            }
            _ => false,
        })
    }

    /// Creates the volume of a mount if it does not exist.
    fn ensure_volume(
        &mut self,
        namespace: &str,
        mount: &rdd_core::MountSpec,
    ) -> Result<(), EngineError> {
        if mount.kind != MountKind::Volume {
            return Ok(());
        }
        let name = Some(mount.source.clone()).filter(|name| !name.is_empty());
        let reference = ObjectRef::new(ObjectKind::Volume, namespace, &mount.source);
        if self.objects.contains_key(&reference) {
            return Ok(());
        }
        self.create_volume(&VolumeSpec {
            namespace: namespace.to_owned(),
            name,
            ..VolumeSpec::default()
        })
        .map(drop)
    }

    /// Returns the ports sorted by name, each binding with a port.
    fn published(&mut self, ports: &[ExposedPort]) -> Vec<ExposedPort> {
        let mut ports = ports.to_vec();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        for binding in ports.iter_mut().flat_map(|port| &mut port.bindings) {
            if binding.host_ip.is_empty() {
                "0.0.0.0".clone_into(&mut binding.host_ip);
            }
            if binding.host_port.is_empty() {
                let (first, count) = FREE_PORTS;
                binding.host_port = (first + self.next_serial() % count).to_string();
            }
        }
        ports
    }
}

fn check_spec(spec: &ContainerSpec) -> Result<(), EngineError> {
    if spec.image.is_empty() {
        return Err(invalid("a container needs an image"));
    }
    if spec.name.as_deref() == Some("") {
        return Err(invalid("the name is empty"));
    }
    if let Some(mount) = spec
        .mounts
        .iter()
        .find(|mount| !mount.target.starts_with('/'))
    {
        let target = &mount.target;
        return Err(invalid(format!(
            "the mount target {target:?} is not absolute"
        )));
    }
    match &spec.working_dir {
        Some(dir) if !dir.starts_with('/') => Err(invalid(format!(
            "the working directory {dir:?} is not absolute"
        ))),
        _ => Ok(()),
    }
}

/// Returns the reference with the tag `latest` if it has no tag and no digest.
pub(crate) fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}
