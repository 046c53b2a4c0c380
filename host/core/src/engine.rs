//! The interface between a backend and the rest of the host.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    BackendInfo, ContainerRef, ContainerSpec, EngineError, EngineObject, EntryOptions, EntryStream,
    ExecOptions, ExecSession, LogStream, ObjectRef, PullSpec, PushSpec, Timestamp, TransferStream,
    VolumeSpec,
};

/// One event of a watch, in the order that the WIT package defines: a listing
/// (`InitBegin`, one `Applied` for each object, `InitDone`), then each change.
/// A backend that may have missed a change sends a new listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A listing begins.
    InitBegin,
    /// The object exists and has this state.
    Applied(Box<EngineObject>),
    /// The listing is complete: an object that it did not contain no longer
    /// exists.
    InitDone,
    /// The object was removed.
    Removed(ObjectRef),
}

/// A watch in progress. It ends after its first `Err`. When it is dropped, the
/// backend stops watching within a second.
pub type WatchStream = BoxStream<'static, Result<WatchEvent, EngineError>>;

/// The part of a container's log to read.
///
/// ```
/// use rdd_core::LogOptions;
///
/// // `docker logs --tail 10`
/// let options = LogOptions {
///     follow: false,
///     tail: Some(10),
///     ..LogOptions::default()
/// };
/// assert!(options.stdout && options.stderr);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether to continue after the last line with what the container writes
    /// next.
    pub follow: bool,
    /// The number of lines from the end of the log; `None` for all lines.
    pub tail: Option<u64>,
    /// Selects lines written at or after this time.
    pub since: Option<Timestamp>,
    /// Selects lines written before this time. A followed log ends there.
    pub until: Option<Timestamp>,
    /// Whether to prefix each line with the engine's timestamp.
    pub timestamps: bool,
    /// Whether to include standard output.
    pub stdout: bool,
    /// Whether to include standard error.
    pub stderr: bool,
}

impl Default for LogOptions {
    /// Selects the whole log of both streams, followed.
    fn default() -> Self {
        Self {
            follow: true,
            tail: None,
            since: None,
            until: None,
            timestamps: false,
            stdout: true,
            stderr: true,
        }
    }
}

/// An action on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerAction {
    /// Starts the container.
    Start,
    /// Stops it, with its own grace period.
    Stop,
    /// Freezes its processes.
    Pause,
    /// Resumes its processes.
    Unpause,
    /// Stops it and starts it again.
    Restart,
}

/// A request to remove one object of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveRequest {
    /// The engine's namespace that the object belongs to.
    pub namespace: String,
    /// The object.
    pub target: RemoveTarget,
}

/// The object to remove, with the precondition under which it is removed: a
/// later object of the same name is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoveTarget {
    /// A container, running or not. Its volumes are kept.
    Container {
        /// The full ID.
        id: String,
    },
    /// A tag of an image, not forced.
    ImageTag {
        /// The tag.
        tag: String,
        /// The ID of the image that the tag must still refer to.
        image_id: String,
    },
    /// An image without tags, not forced.
    Image {
        /// The image's ID.
        id: String,
    },
    /// A volume, not forced.
    Volume {
        /// The name.
        name: String,
        /// The creation time that the volume must still have.
        created_at: Option<Timestamp>,
    },
}

/// The response of [`ContainerEngine::inspect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectResponse {
    /// The object.
    pub object: EngineObject,
    /// The engine's own JSON document about the object, with the values of
    /// environment variables blanked; empty if there is none.
    pub raw: String,
}

/// A loaded backend, connected to its engine. Calls may run concurrently.
///
/// # Errors
///
/// The WIT package documents the error codes of each call. In addition, every
/// call may fail with [`ErrorCode::PluginFailed`](crate::ErrorCode::PluginFailed).
#[async_trait]
pub trait ContainerEngine: Send + Sync + 'static {
    /// Returns the backend's description of itself. Never waits.
    fn info(&self) -> &BackendInfo;

    /// Watches the engine: lists all objects, then reports their changes.
    async fn watch(&self) -> Result<WatchStream, EngineError>;

    /// Returns the current state of one object.
    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError>;

    /// Reads a container's log. Returns once the engine has begun to respond.
    ///
    /// # Errors
    ///
    /// The call and its stream may also fail with
    /// [`ErrorCode::StreamFailed`](crate::ErrorCode::StreamFailed).
    async fn get_logs(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError>;

    /// Reads a container's log as entries. Returns once the engine has begun to
    /// respond.
    ///
    /// # Errors
    ///
    /// Those of [`ContainerEngine::get_logs`].
    async fn get_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError>;

    /// Performs an action on a container. Returns when the engine has completed
    /// it.
    async fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError>;

    /// Removes one object if it still meets the precondition of the request.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorCode::Replaced`](crate::ErrorCode::Replaced), without
    /// a change, if it does not.
    async fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError>;

    /// Creates a container and returns its full ID. Does not start it.
    async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError>;

    /// Creates a volume and returns its name.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError>;

    /// Runs a process in a running container. Returns once the engine has
    /// started it.
    async fn exec(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError>;

    /// Pulls an image. Returns once the engine has begun.
    async fn pull(&self, spec: &PullSpec) -> Result<TransferStream, EngineError>;

    /// Pushes an image. Returns once the engine has begun.
    async fn push(&self, spec: &PushSpec) -> Result<TransferStream, EngineError>;
}
