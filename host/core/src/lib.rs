//! The engine-neutral heart of the host: the model of what an engine holds,
//! the contract that a backend fulfils, and the snapshots that request
//! handlers read.
//!
//! Invariant: nothing here names a framework (no Kubernetes client, no
//! WebAssembly runtime, no HTTP library), so that every other room may depend
//! on it and nothing in it needs a server to be tested.

mod backend;
mod engine;
mod error;
mod identity;
mod model;
mod private_file;
mod read_only;
mod serving;
pub mod text;
mod time;

pub use backend::{
    BackendInfo, BackendRegistry, BackendState, Capabilities, IdFormat, LoadedBackend,
};
pub use engine::{
    ContainerAction, ContainerEngine, InspectResponse, LogChunk, LogOptions, LogSource, LogStream,
    RemoveRequest, WatchEvent, WatchStream,
};
pub use error::{EngineError, ErrorCode};
pub use identity::{AuthError, Authenticator, Credentials, UserIdentity};
pub use model::{
    Container, ContainerState, EngineObject, ExposedPort, Image, ObjectKind, ObjectRef,
    PortBinding, Volume,
};
pub use private_file::{
    PrivateFileError, create_private_dir, remove_drafts, remove_old_drafts, write_private,
    write_private_parts,
};
pub use read_only::ReadOnlyMode;
pub use serving::{ServingSnapshot, ServingState, UnavailableReason};
pub use time::{Timestamp, TimestampError};
