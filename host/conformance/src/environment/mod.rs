//! The engine of a test: how its objects are set up, and how it is disturbed.

mod engine;
mod toy;
mod transfer_spec;

use std::time::Duration;

use async_trait::async_trait;
use rdd_core::{ContainerEngine, ContainerRef, EngineError, OutputSource};

pub use engine::EngineEnvironment;
pub use toy::ToyEnvironment;
pub use transfer_spec::{ImageReference, ImageReferenceError, TransferSpec};

/// An object that cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// This environment cannot do it; the case is skipped.
    #[error("{0}")]
    Impossible(String),
    /// It failed, although it should have been possible; the case fails.
    #[error("cannot set up the engine: {0}")]
    Failed(String),
}

impl SetupError {
    /// Creates [`SetupError::Impossible`].
    pub fn impossible(reason: impl Into<String>) -> Self {
        Self::Impossible(reason.into())
    }
}

impl From<EngineError> for SetupError {
    fn from(error: EngineError) -> Self {
        Self::Failed(format!("{} ({})", error.message, error.code))
    }
}

/// A container to run, which writes nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestContainerSpec {
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it is in the second namespace.
    pub in_other_namespace: bool,
    /// Its ID; chosen by the engine if `None`.
    pub id: Option<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
}

/// A process in a container, by what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecScript {
    /// Writes these words to standard output.
    Echo(String),
    /// Writes these words to standard error.
    Err(String),
    /// Writes its input until it ends.
    Cat,
    /// Exits with this code.
    Exit(i32),
    /// Ends by this signal.
    Kill(i32),
    /// Does not exist.
    Missing,
    /// Exists and cannot be executed.
    NotExecutable,
    /// Writes the size of the terminal as `ROWS COLUMNS` when it changes, until
    /// it is ended.
    Size,
    /// Writes the value of the environment variable `RDD_TEST`.
    Env,
    /// Writes the working directory.
    WorkingDir,
    /// Closes its input, writes `closed`, and exits a while later.
    CloseInput,
    /// Writes `y` lines without an end.
    Yes,
    /// Does nothing until it is ended.
    Sleep,
}

/// What is done to the engine during a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineDisturbance {
    /// All connections are closed in the middle of what they do.
    CutConnections,
    /// Connections are accepted, and nothing is sent on any of them.
    StopAnswering,
    /// Ends [`EngineDisturbance::StopAnswering`].
    Answer,
    /// All but the last entries of a log are discarded.
    Rotate {
        /// The container.
        container: ContainerRef,
        /// The number of entries that are kept.
        kept: usize,
    },
    /// A container changes this many times as fast as it can.
    Burst {
        /// The container.
        container: ContainerRef,
        /// The number of changes.
        changes: usize,
    },
    /// A container is renamed.
    Rename {
        /// The container.
        container: ContainerRef,
        /// The new name.
        name: String,
    },
    /// An image gets this tag, in the default namespace.
    AddImage {
        /// The ID.
        id: String,
        /// The tag.
        tag: String,
    },
    /// A namespace is created.
    CreateNamespace(String),
    /// A namespace is removed.
    RemoveNamespace(String),
}

/// The engine that the backend is connected to. The objects that it creates have
/// names of their own, and [`TestEnvironment::clean_up`] removes them.
///
/// The default bodies say that the environment cannot do it.
#[async_trait]
pub trait TestEnvironment: Send + Sync + 'static {
    /// Returns the namespace of the test.
    fn namespace(&self) -> &str;

    /// Returns a second namespace in which containers can be set up.
    fn other_namespace(&self) -> Option<&str> {
        None
    }

    /// Returns the image of the containers, which the engine has.
    fn image(&self) -> &str;

    /// Returns a name that no object has yet.
    fn unique_name(&self) -> String;

    /// Runs a container.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn run(
        &self,
        engine: &dyn ContainerEngine,
        spec: &TestContainerSpec,
    ) -> Result<ContainerRef, SetupError>;

    /// Lets a container write these bytes. Returns when they are in its log.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn write(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError>;

    /// Lets a container write these bytes at this time, in nanoseconds since the
    /// Unix epoch.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn write_at(
        &self,
        _container: &ContainerRef,
        _time: i64,
        _source: OutputSource,
        _bytes: &[u8],
    ) -> Result<(), SetupError> {
        Err(SetupError::impossible(
            "the times of this engine's logs cannot be chosen",
        ))
    }

    /// Stops a container, which ends its log.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn stop(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError>;

    /// Removes a container.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn remove(
        &self,
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError>;

    /// Disturbs the engine.
    ///
    /// # Errors
    ///
    /// Fails if this is impossible, or if the engine fails.
    async fn disturb(
        &self,
        _engine: &dyn ContainerEngine,
        _disturbance: EngineDisturbance,
    ) -> Result<(), SetupError> {
        Err(SetupError::impossible("this engine cannot be disturbed"))
    }

    /// Returns the command that does this in a container of this environment.
    fn command(&self, script: &ExecScript) -> Option<Vec<String>>;

    /// Returns whether the engine's logs have the bytes of a container's output
    /// also where they are not UTF-8.
    fn keeps_invalid_utf8(&self) -> bool {
        true
    }

    /// Returns an image that can be pulled and that the engine does not have.
    fn pullable_image(&self) -> Option<String> {
        None
    }

    /// Returns an image that takes much longer to pull than a call takes to end.
    fn slow_image(&self) -> Option<String> {
        None
    }

    /// Returns an image that no registry has.
    fn missing_image(&self) -> Option<String> {
        None
    }

    /// Returns a tag that the engine has and that can be pushed.
    fn pushable_image(&self) -> Option<String> {
        None
    }

    /// Returns the number of connections to the engine, as the engine counts
    /// them.
    fn connections(&self) -> Option<usize> {
        None
    }

    /// Records an object that a case created through the backend, so that
    /// [`TestEnvironment::clean_up`] removes it.
    fn created(&self, _object: rdd_core::RemoveRequest) {}

    /// Removes everything that was created. Returns the errors of what could not
    /// be removed.
    async fn clean_up(&self, engine: &dyn ContainerEngine) -> Vec<String>;

    /// Returns the time that the engine may take until a change is visible.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}
