//! The checks of a call before it reaches a backend.

use rdd_core::{
    BackendInfo, ContainerRef, ContainerSpec, EngineError, ErrorCode, ExecOptions, ObjectKind,
    ObjectRef, PullSpec, PushSpec, RemoveRequest, RemoveTarget, VolumeSpec,
};

use crate::validation::{self, ContractError};

/// Checks the arguments of calls, so that no backend gets an invalid ID, a
/// control character in a name, or a call that it does not support.
///
/// ```
/// # use rdd_core::{BackendInfo, Capabilities, ContainerRef, ErrorCode, IdFormat};
/// # use rdd_plugin_contract::ArgumentValidator;
/// # let info = BackendInfo {
/// #     name: "test".to_owned(),
/// #     version: "1.0.0".to_owned(),
/// #     engine: "Test".to_owned(),
/// #     id_format: IdFormat::LowerHex(4),
/// #     namespaces: vec!["default".to_owned()],
/// #     capabilities: Capabilities::default(),
/// # };
/// let validator = ArgumentValidator::new(&info);
/// let error = validator
///     .inspect(&ContainerRef::new("default", "../x").into())
///     .unwrap_err();
/// assert_eq!(error.code, ErrorCode::InvalidArgument);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ArgumentValidator<'a>(&'a BackendInfo);

impl<'a> ArgumentValidator<'a> {
    /// Creates a validator for the calls of one backend.
    pub fn new(info: &'a BackendInfo) -> Self {
        Self(info)
    }

    /// Checks a call of `inspect`.
    ///
    /// # Errors
    ///
    /// Fails with `InvalidArgument`, as all functions below. These also fail with
    /// `Unsupported` if the backend does not have the capability.
    pub fn inspect(self, object: &ObjectRef) -> Result<(), EngineError> {
        let ObjectRef {
            kind,
            namespace: of,
            id,
        } = object;
        match kind {
            ObjectKind::Container => self.container_id(id)?,
            ObjectKind::Image => name("image ID", id)?,
            ObjectKind::Volume => name("volume name", id)?,
            ObjectKind::Namespace => namespace(id)?,
        }
        namespace(of)
    }

    /// Checks a call of `get-logs`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn get_logs(self, container: &ContainerRef) -> Result<(), EngineError> {
        self.require(self.0.capabilities.logs, "read logs")?;
        self.container(container)
    }

    /// Checks a call of `get-entries`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn get_entries(self, container: &ContainerRef) -> Result<(), EngineError> {
        self.require(self.0.capabilities.entries, "read logs as entries")?;
        self.container(container)
    }

    /// Checks a call of `act`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn act(self, container: &ContainerRef) -> Result<(), EngineError> {
        self.require(self.0.capabilities.actions, "start or stop containers")?;
        self.container(container)
    }

    /// Checks a call of `remove`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn remove(self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.require(self.0.capabilities.removals, "remove objects")?;
        match &request.target {
            RemoveTarget::Container { id } => self.container_id(id)?,
            RemoveTarget::ImageTag { tag, image_id } => {
                name("image tag", tag)?;
                name("image ID", image_id)?;
            }
            RemoveTarget::Image { id } => name("image ID", id)?,
            RemoveTarget::Volume { name: volume, .. } => name("volume name", volume)?,
        }
        namespace(&request.namespace)
    }

    /// Checks a call of `create-container`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn create_container(self, spec: &ContainerSpec) -> Result<(), EngineError> {
        self.require(self.0.capabilities.create_containers, "create containers")?;
        namespace(&spec.namespace)?;
        name("image", &spec.image)?;
        if let Some(container) = &spec.name {
            name("container name", container)?;
        }
        variables(&spec.env)?;
        absolute_path("working directory", spec.working_dir.as_deref())?;
        spec.mounts
            .iter()
            .try_for_each(|mount| absolute_path("mount target", Some(&mount.target)))
    }

    /// Checks a call of `create-volume`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn create_volume(self, spec: &VolumeSpec) -> Result<(), EngineError> {
        self.require(self.0.capabilities.create_volumes, "create volumes")?;
        namespace(&spec.namespace)?;
        if let Some(volume) = &spec.name {
            name("volume name", volume)?;
        }
        Ok(())
    }

    /// Checks a call of `exec`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn exec(self, container: &ContainerRef, options: &ExecOptions) -> Result<(), EngineError> {
        self.require(self.0.capabilities.exec, "run processes")?;
        self.container(container)?;
        if options.command.is_empty() {
            return Err(invalid("the command is empty; specify a program"));
        }
        if options.tty && options.stderr {
            return Err(invalid(
                "a process with a terminal has no separate standard error; request standard output only",
            ));
        }
        variables(&options.env)?;
        absolute_path("working directory", options.working_dir.as_deref())
    }

    /// Checks a call of `pull`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn pull(self, spec: &PullSpec) -> Result<(), EngineError> {
        self.require(self.0.capabilities.pull, "pull images")?;
        namespace(&spec.namespace)?;
        name("image", &spec.image)
    }

    /// Checks a call of `push`.
    ///
    /// # Errors
    ///
    /// See [`ArgumentValidator::inspect`].
    pub fn push(self, spec: &PushSpec) -> Result<(), EngineError> {
        self.require(self.0.capabilities.push, "push images")?;
        namespace(&spec.namespace)?;
        name("image", &spec.image)
    }

    /// Fails unless the backend `is_supported`; `operation` is a verb phrase.
    fn require(self, is_supported: bool, operation: &str) -> Result<(), EngineError> {
        if is_supported {
            return Ok(());
        }
        Err(EngineError::new(
            ErrorCode::Unsupported,
            format!("the backend {} cannot {operation}", self.0.name),
        ))
    }

    fn container(self, container: &ContainerRef) -> Result<(), EngineError> {
        self.container_id(&container.id)?;
        namespace(&container.namespace)
    }

    fn container_id(self, id: &str) -> Result<(), EngineError> {
        let format = self.0.id_format;
        if format.matches(id) {
            return Ok(());
        }
        Err(invalid(format!(
            "{} is not a container ID; it must be {format}",
            validation::quote(id)
        )))
    }
}

fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::new(ErrorCode::InvalidArgument, message)
}

fn name(what: &str, value: &str) -> Result<(), EngineError> {
    validation::check_name(what, value).map_err(|ContractError(message)| invalid(message))
}

fn namespace(name: &str) -> Result<(), EngineError> {
    validation::check_namespace(name).map_err(|ContractError(message)| invalid(message))
}

fn variables(variables: &[(String, String)]) -> Result<(), EngineError> {
    match variables
        .iter()
        .find(|(name, _)| name.is_empty() || name.contains(['=', '\0']))
    {
        Some((name, _)) => Err(invalid(format!(
            "{} is not the name of an environment variable; it must not be empty or contain '='",
            validation::quote(name)
        ))),
        None => Ok(()),
    }
}

fn absolute_path(what: &str, path: Option<&str>) -> Result<(), EngineError> {
    match path {
        Some(path) if !path.starts_with('/') => Err(invalid(format!(
            "the {what} {} is not an absolute path",
            validation::quote(path)
        ))),
        _ => Ok(()),
    }
}
