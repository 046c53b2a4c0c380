//! Any engine as an environment, set up through the backend itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineError,
    EngineObject, ErrorCode, ExecOptions, ObjectKind, ObjectRef, OutputSource, RemoveRequest,
    RemoveTarget,
};

use super::{
    EngineDisturbance, ExecScript, SetupError, TestContainerSpec, TestEnvironment, TransferSpec,
};

/// The beginning of the names of everything that is created.
const NAME_PREFIX: &str = "rdd-conformance-";

/// The program of a container: it waits, and ends at once when it is stopped.
const WAIT: &str = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";

/// Prints the size of the terminal when it changes: a shell runs a trap between
/// two commands.
const SIZE: &str = "trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done";

/// A real engine, whose containers are set up with the capabilities of the
/// backend under test. Everything that it creates has a name of its own, and only
/// that is removed.
#[derive(Debug)]
pub struct EngineEnvironment {
    namespace: String,
    image: String,
    prefix: String,
    transfers: TransferSpec,
    serial: std::sync::atomic::AtomicU32,
    created: Mutex<Vec<RemoveRequest>>,
}

impl EngineEnvironment {
    /// Sets up containers of `image`, which needs a shell, `cat`, and `stty`, in
    /// the default namespace of the backend.
    pub fn new(info: &BackendInfo, image: &str) -> Self {
        Self {
            namespace: info.default_namespace().to_owned(),
            image: image.to_owned(),
            prefix: format!("{NAME_PREFIX}{:08x}", fastrand::u32(..)),
            transfers: TransferSpec::default(),
            serial: std::sync::atomic::AtomicU32::new(0),
            created: Mutex::default(),
        }
    }

    /// Transfers these images, too.
    #[must_use]
    pub fn with_transfers(self, transfers: TransferSpec) -> Self {
        Self { transfers, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RemoveRequest>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TestEnvironment for EngineEnvironment {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn image(&self) -> &str {
        &self.image
    }

    fn unique_name(&self) -> String {
        let order = std::sync::atomic::Ordering::Relaxed;
        format!("{}-{}", self.prefix, self.serial.fetch_add(1, order))
    }

    async fn run(
        &self,
        engine: &dyn ContainerEngine,
        spec: &TestContainerSpec,
    ) -> Result<ContainerRef, SetupError> {
        require(engine, "create-containers")?;
        require(engine, "actions")?;
        require(engine, "removals")?;
        if spec.in_other_namespace || spec.id.is_some() {
            return Err(SetupError::impossible(
                "a container with a chosen ID or namespace can only be set up in the toy engine",
            ));
        }
        let container = ContainerSpec {
            name: Some(self.unique_name()),
            command: ["sh", "-c", WAIT].map(str::to_owned).to_vec(),
            env: spec.env.clone(),
            tty: spec.tty,
            ..ContainerSpec::new(&self.namespace, &self.image)
        };
        let id = match engine.create_container(&container).await {
            Ok(id) => id,
            Err(error) if error.code == ErrorCode::NotFound => {
                return Err(SetupError::impossible(format!(
                    "the engine does not have the image {}; pull it, or choose another one with --image",
                    self.image
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let container = ContainerRef::new(&self.namespace, id);
        self.created(removal(&container));
        engine.act(&container, ContainerAction::Start).await?;
        Ok(container)
    }

    async fn write(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError> {
        require(engine, "exec")?;
        let descriptor = match source {
            OutputSource::Stdout => 1,
            OutputSource::Stderr => 2,
        };
        let script = format!("cat >/proc/1/fd/{descriptor}");
        let options = ExecOptions {
            command: vec!["sh".to_owned(), "-c".to_owned(), script],
            stdin: true,
            ..ExecOptions::default()
        };
        let mut session = engine.exec(container, &options).await?;
        let mut rest = bytes::Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(32 * 1024));
            if session.stdin.send(part).await.is_err() {
                break;
            }
        }
        drop(session.stdin);
        let mut message = Vec::new();
        while let Some(chunk) = session.output.next().await {
            message.extend_from_slice(&chunk?.bytes);
        }
        match session.exit.await? {
            0 => Ok(()),
            code => Err(SetupError::Failed(format!(
                "writing to a log exits with {code}: {}",
                String::from_utf8_lossy(&message)
            ))),
        }
    }

    async fn stop(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        require(engine, "actions")?;
        Ok(engine.act(container, ContainerAction::Stop).await?)
    }

    async fn remove(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        require(engine, "removals")?;
        Ok(engine.remove(&removal(container)).await?)
    }

    async fn disturb(
        &self,
        engine: &dyn ContainerEngine,
        disturbance: EngineDisturbance,
    ) -> Result<(), SetupError> {
        match disturbance {
            // Pausing is the fastest change that each engine has.
            EngineDisturbance::Burst { container, changes } => {
                require(engine, "actions")?;
                for _ in 0..changes.min(50) {
                    engine.act(&container, ContainerAction::Pause).await?;
                    engine.act(&container, ContainerAction::Unpause).await?;
                }
                Ok(())
            }
            _ => Err(SetupError::impossible(
                "only the toy engine can be disturbed in this way",
            )),
        }
    }

    fn command(&self, script: &ExecScript) -> Option<Vec<String>> {
        let shell = |script: &str| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        Some(match script {
            ExecScript::Echo(text) => vec!["echo".to_owned(), text.clone()],
            ExecScript::Err(text) => shell(&format!("echo '{text}' >&2")),
            ExecScript::Cat => vec!["cat".to_owned()],
            ExecScript::Exit(code) => shell(&format!("exit {code}")),
            ExecScript::Kill(signal) => shell(&format!("kill -{signal} $$")),
            ExecScript::Missing => vec!["no-such-program".to_owned()],
            // Engines write it into every container, whatever the image has.
            ExecScript::NotExecutable => vec!["/etc/hosts".to_owned()],
            ExecScript::Size => shell(SIZE),
            ExecScript::Env => shell("echo \"$RDD_TEST\""),
            ExecScript::WorkingDir => vec!["pwd".to_owned()],
            ExecScript::CloseInput => shell("exec 0<&-; echo closed; sleep 1"),
            ExecScript::Yes => vec!["yes".to_owned()],
            ExecScript::Sleep => vec!["sleep".to_owned(), "3600".to_owned()],
        })
    }

    fn pullable_image(&self) -> Option<String> {
        self.transfers.pull.as_ref().map(ToString::to_string)
    }

    fn missing_image(&self) -> Option<String> {
        // In a repository that exists: a registry may hide which others do.
        let known = self.transfers.pull.as_ref()?;
        Some(known.with_tag(&self.unique_name()).to_string())
    }

    fn pushable_image(&self) -> Option<String> {
        self.transfers.push.as_ref().map(ToString::to_string)
    }

    fn keeps_invalid_utf8(&self) -> bool {
        // The default log driver of Docker writes JSON.
        false
    }

    fn created(&self, object: RemoveRequest) {
        self.lock().push(object);
    }

    async fn clean_up(&self, engine: &dyn ContainerEngine) -> Vec<String> {
        let created = std::mem::take(&mut *self.lock());
        let mut errors = Vec::new();
        // The newest first: containers before the volumes that they use.
        for request in created.iter().rev() {
            if let RemoveTarget::Container { id } = &request.target {
                let container = ContainerRef::new(&request.namespace, id);
                // A paused container cannot be removed by every engine; any
                // other one fails here.
                engine.act(&container, ContainerAction::Unpause).await.ok();
            }
            if let Err(error) = remove_created(engine, request).await {
                errors.push(format!("{:?}: {error}", request.target));
            }
        }
        errors
    }
}

/// Returns the request to remove a container.
pub(super) fn removal(container: &ContainerRef) -> RemoveRequest {
    RemoveRequest {
        namespace: container.namespace.clone(),
        target: RemoveTarget::Container {
            id: container.id.clone(),
        },
    }
}

/// Removes what a case created, unless the case has removed it.
async fn remove_created(
    engine: &dyn ContainerEngine,
    request: &RemoveRequest,
) -> Result<(), EngineError> {
    let (kind, id) = match &request.target {
        RemoveTarget::Container { id } => (ObjectKind::Container, id),
        RemoveTarget::Volume { name, .. } => (ObjectKind::Volume, name),
        RemoveTarget::Image { id } => (ObjectKind::Image, id),
        RemoveTarget::ImageTag { image_id, .. } => (ObjectKind::Image, image_id),
    };
    let reference = ObjectRef::new(kind, &request.namespace, id);
    let mut request = request.clone();
    match engine.inspect(&reference).await {
        Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) => {
            if let (RemoveTarget::Volume { created_at, .. }, EngineObject::Volume(volume)) =
                (&mut request.target, found.object)
            {
                *created_at = volume.created_at;
            }
        }
    }
    // Not found is an error here: the object was there a moment ago.
    engine.remove(&request).await
}

fn require(engine: &dyn ContainerEngine, capability: &str) -> Result<(), SetupError> {
    let capabilities = engine.info().capabilities.named();
    if capabilities.contains(&(capability, true)) {
        Ok(())
    } else {
        Err(SetupError::impossible(format!(
            "setting up containers in this engine needs the capability {capability}"
        )))
    }
}
