//! The engine-neutral model of the host: what a container engine holds, the
//! trait that a loaded backend implements, and the snapshots that request
//! handlers read.
//!
//! - [`Container`], [`Image`], and [`Volume`] are an engine's objects.
//! - [`ContainerEngine`] watches, inspects, and changes them; [`EngineError`]
//!   is how a call fails.
//! - [`BackendRegistry`] holds the backends, [`ServingSnapshot`] the one that
//!   is in use.
//! - [`ContainerIndex`] has the containers, for whoever must find one.
//! - [`Authenticator`] maps [`Credentials`] to a [`UserIdentity`].
//!
//! Invariant: nothing here names a framework (no Kubernetes client, no
//! WebAssembly runtime, no HTTP library). Every other crate of the host may
//! depend on this one, and nothing in it needs a server to be tested.

// In layers: each module uses only those after it.

mod serving;

mod backend;
mod container_index;

mod derived_logs;
mod read_only;

mod engine;

mod backend_info;
mod creation;
mod exec;
mod label_predicate;
mod log_entry;
mod transfer;

mod model;
mod output;

mod error;
mod identity;
mod time;

mod private_file;
pub mod text;

pub use backend::{BackendRegistry, BackendState, LoadedBackend};
pub use backend_info::{BackendInfo, Capabilities, IdFormat};
pub use container_index::{ContainerIndex, ContainerLookup, IndexedContainer};
pub use creation::{ContainerRestartPolicy, ContainerSpec, MountKind, MountSpec, VolumeSpec};
pub use derived_logs::DerivedLogs;
pub use engine::{
    ContainerAction, ContainerEngine, InspectResponse, LogOptions, RemoveRequest, RemoveTarget,
    WatchEvent, WatchStream,
};
pub use error::{EngineError, ErrorCode};
pub use exec::{ExecOptions, ExecSession, TerminalSize};
pub use identity::{AccessScope, AuthError, Authenticator, Credentials, SessionEnd, UserIdentity};
pub use label_predicate::{LabelPredicate, SelectorParser, SelectorTextError};
pub use log_entry::{
    EntryBatch, EntryBatchError, EntryHeader, EntryOptions, EntryPosition, EntryStream, GapReason,
    LogEntry,
};
pub use model::{
    COMPOSE_PROJECT_LABEL, Container, ContainerRef, ContainerState, EngineObject, ExposedPort,
    Image, ObjectKind, ObjectRef, PortBinding, Volume,
};
pub use output::{LogStream, OutputChunk, OutputSource};
pub use private_file::{
    PrivateFileError, create_private_dir, remove_old_temporary_files, remove_temporary_files,
    write_private, write_private_parts,
};
pub use read_only::ReadOnlyEngine;
pub use serving::{ServingSnapshot, ServingState, UnavailableReason};
pub use time::{Timestamp, TimestampError};
pub use transfer::{
    NoCredentialStore, PullSpec, PushSpec, RegistryCredentialStore, RegistryCredentials,
    TransferPhase, TransferProgress, TransferStream,
};
