//! The creation of containers and volumes by a caller.

use rdd_core::{
    Container, ContainerSpec, ContainerState, EngineError, EngineObject, ErrorCode, ExposedPort,
    MountKind, ObjectKind, ObjectRef, Volume, VolumeSpec,
};

use super::container_log::ContainerLog;
use super::not_found;
use super::state::EngineState;

/// The first port that the engine chooses by itself.
const FIRST_FREE_PORT: u64 = 49_152;

impl EngineState {
    /// Creates a container and returns its ID.
    pub(super) fn create_container(&mut self, spec: &ContainerSpec) -> Result<String, EngineError> {
        for mount in &spec.mounts {
            if !mount.target.starts_with('/') {
                return Err(invalid(format!(
                    "invalid mount target {:?}: mount path must be absolute",
                    mount.target
                )));
            }
        }
        if spec
            .working_dir
            .as_ref()
            .is_some_and(|dir| !dir.starts_with('/'))
        {
            return Err(invalid("the working directory must be an absolute path"));
        }
        let image_id = self
            .image(&spec.namespace, &spec.image)
            .map(|image| image.id.clone())
            .ok_or_else(|| not_found("image", &spec.image))?;
        let id = self.next_id();
        let name = match &spec.name {
            Some(name) if self.is_container_name(&spec.namespace, name) => {
                return Err(conflict(format!(
                    "the container name {name:?} is already in use"
                )));
            }
            Some(name) => name.clone(),
            None => format!("fake_{}", id.get(..12).unwrap_or(&id)),
        };
        let mut words = [spec.command.as_slice(), spec.args.as_slice()].concat();
        if words.is_empty() {
            words.push("sh".to_owned());
        }
        for mount in &spec.mounts {
            if mount.kind == MountKind::Volume && !mount.source.is_empty() {
                self.ensure_volume(&spec.namespace, &mount.source);
            }
        }
        let container = Container {
            id: id.clone(),
            name,
            namespace: spec.namespace.clone(),
            path: words.remove(0),
            args: words,
            image_id,
            image_name: spec.image.clone(),
            labels: spec.labels.clone(),
            state: ContainerState::Created,
            pid: 0,
            exit_code: 0,
            error: String::new(),
            created_at: Some(self.now()),
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
        self.logs
            .insert(container.container_ref(), ContainerLog::default());
        self.apply(EngineObject::Container(container));
        Ok(id)
    }

    /// Creates a volume and returns its name.
    pub(super) fn create_volume(&mut self, spec: &VolumeSpec) -> Result<String, EngineError> {
        let driver = spec.driver.as_deref().unwrap_or("local");
        if driver != "local" {
            return Err(not_found("volume driver", driver));
        }
        let name = match &spec.name {
            Some(name) => name.clone(),
            None => self.next_id(),
        };
        let reference = ObjectRef::new(ObjectKind::Volume, &spec.namespace, &name);
        if self.objects.contains_key(&reference) {
            return Err(conflict(format!("the volume {name:?} exists")));
        }
        let volume = Volume {
            created_at: Some(self.now()),
            driver: driver.to_owned(),
            mountpoint: format!("/var/lib/docker/volumes/{name}/_data"),
            labels: spec.labels.clone(),
            scope: "local".to_owned(),
            options: spec.options.clone(),
            namespace: spec.namespace.clone(),
            name: name.clone(),
        };
        self.apply(EngineObject::Volume(volume));
        Ok(name)
    }

    fn ensure_volume(&mut self, namespace: &str, name: &str) {
        let spec = VolumeSpec {
            namespace: namespace.to_owned(),
            name: Some(name.to_owned()),
            ..VolumeSpec::default()
        };
        // A volume that exists is used as it is.
        self.create_volume(&spec).ok();
    }

    fn is_container_name(&self, namespace: &str, name: &str) -> bool {
        self.objects.values().any(|object| match object {
            EngineObject::Container(container) => {
                container.namespace == namespace && container.name == name
            }
            _ => false,
        })
    }

    /// Returns the ports sorted by name, each binding with a port.
    fn published(&mut self, ports: &[ExposedPort]) -> Vec<ExposedPort> {
        let mut ports = ports.to_vec();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        for binding in ports.iter_mut().flat_map(|port| &mut port.bindings) {
            if binding.host_ip.is_empty() {
                binding.host_ip = "0.0.0.0".to_owned();
            }
            if binding.host_port.is_empty() {
                binding.host_port = (FIRST_FREE_PORT + self.next_serial() % 16_384).to_string();
            }
        }
        ports
    }
}

fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::new(ErrorCode::InvalidArgument, message)
}

fn conflict(message: String) -> EngineError {
    EngineError::new(ErrorCode::Conflict, message)
}
