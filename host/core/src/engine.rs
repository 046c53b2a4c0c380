//! The contract between a backend and the host.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{BackendInfo, EngineError, EngineObject, ObjectRef, Timestamp};

/// One element of a watch; the order is that of the WIT package's `event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A whole new listing begins.
    InitBegin,
    /// The object exists and looks like this.
    Applied(Box<EngineObject>),
    /// The listing is whole: what it did not name does not exist any more.
    InitDone,
    /// The object is gone.
    Removed(ObjectRef),
}

/// A watch in progress. Ends after its first `Err`; dropping it stops the
/// backend's side within a second.
pub type WatchStream = BoxStream<'static, Result<WatchEvent, EngineError>>;

/// Which of a container's output streams bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogSource {
    /// Standard output, or the terminal of a TTY container.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A run of bytes of one source. Boundaries mean nothing, and the bytes need
/// not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Where the bytes come from.
    pub source: LogSource,
    /// At most [`LogChunk::MAX_LEN`] bytes.
    pub bytes: Bytes,
}

impl LogChunk {
    /// Backends coalesce up to this many bytes. Larger chunks bought no speed
    /// in measurements and cost latency and memory for each viewer.
    pub const MAX_LEN: usize = 64 * 1024;
}

/// A log in progress. A clean end is the end of the stream; a failure is its
/// last item. Dropping it stops the engine's side within a second.
pub type LogStream = BoxStream<'static, Result<LogChunk, EngineError>>;

/// Which part of a log is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Stay after the last line.
    pub follow: bool,
    /// Only the last so many lines; all of them when `None`.
    pub tail: Option<u64>,
    /// Only lines written at or after this time.
    pub since: Option<Timestamp>,
    /// Only lines written before this time; ends a follow, too.
    pub until: Option<Timestamp>,
    /// Prefix each line with the engine's time.
    pub timestamps: bool,
    /// Whether standard output is wanted.
    pub stdout: bool,
    /// Whether standard error is wanted.
    pub stderr: bool,
}

impl Default for LogOptions {
    /// The whole log of both streams, then what comes.
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

/// What can be done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerAction {
    /// Start it.
    Start,
    /// Stop it, with the engine's grace period.
    Stop,
    /// Freeze it.
    Pause,
    /// Thaw it.
    Unpause,
    /// Stop, then start.
    Restart,
}

/// What to remove, with what proves that it is still what the caller meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoveRequest {
    /// A container by full ID, running or not. Its volumes stay.
    Container {
        /// The full ID.
        id: String,
    },
    /// One tag, while it points at `image_id`. Not forced.
    ImageTag {
        /// The tag.
        tag: String,
        /// What it must still point at.
        image_id: String,
    },
    /// An image without tags. Not forced.
    Image {
        /// The image's ID.
        id: String,
    },
    /// A volume made at `created_at`. Not forced.
    Volume {
        /// Its name.
        name: String,
        /// When the one that is meant was made.
        created_at: Option<Timestamp>,
    },
}

/// The answer of [`ContainerEngine::inspect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectResponse {
    /// The object.
    pub object: EngineObject,
    /// The engine's own JSON about it, environment blanked; empty when there is none.
    pub raw: String,
}

/// A loaded backend with its engine. Calls run side by side; every error code
/// is documented in the WIT package, and any call may also fail with
/// [`ErrorCode::PluginFailed`](crate::ErrorCode::PluginFailed).
#[async_trait]
pub trait ContainerEngine: Send + Sync + 'static {
    /// What the backend says of itself. Never waits.
    fn info(&self) -> &BackendInfo;

    /// All objects, then their changes.
    async fn watch(&self) -> Result<WatchStream, EngineError>;

    /// One object as it is now.
    async fn inspect(&self, object: &ObjectRef) -> Result<InspectResponse, EngineError>;

    /// A container's output. Returns once the engine has begun to answer. The
    /// call and its stream may also fail with
    /// [`ErrorCode::StreamFailed`](crate::ErrorCode::StreamFailed).
    async fn get_logs(&self, id: &str, options: &LogOptions) -> Result<LogStream, EngineError>;

    /// Performs an action; returns when the engine has done it.
    async fn act(&self, id: &str, action: ContainerAction) -> Result<(), EngineError>;

    /// Removes one object, if it is still the one that is meant.
    async fn remove(&self, target: &RemoveRequest) -> Result<(), EngineError>;
}
