//! The contract's records and enumerations, re-exported from the generated
//! bindings, and its limits.

pub use crate::bindings::exports::rancher_desktop::engine::engine::{
    BackendInfo, Capabilities, Event, IdForm, Inspection,
};
pub use crate::bindings::exports::rancher_desktop::engine::images::{
    PullSpec, PushSpec, TransferPhase, TransferProgress,
};
pub use crate::bindings::exports::rancher_desktop::engine::lifecycle::{
    Action, ContainerSpec, Mount, MountKind, Removal, RemovalTarget, RestartPolicy, VolumeSpec,
};
pub use crate::bindings::exports::rancher_desktop::engine::logs::{
    EntryBatch, EntryHeader, EntryOptions, EntryPosition, GapReason, LogOptions,
};
pub use crate::bindings::exports::rancher_desktop::engine::processes::{ExecOptions, TerminalSize};
pub use crate::bindings::rancher_desktop::engine::host::LogLevel;
pub use crate::bindings::rancher_desktop::engine::registry::{Credentials, PasswordCredentials};
pub use crate::bindings::rancher_desktop::engine::types::{
    Container, ContainerRef, ContainerState, Error, ErrorCode, Image, Object, ObjectKind,
    ObjectRef, OutputChunk, OutputSource, Port, PortBinding, Timestamp, Volume,
};

/// The maximum size of a string that a backend sends to the host.
pub const MAX_STRING_BYTES: usize = 1 << 20;

/// The maximum size of a record that a backend sends to the host.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// The maximum size of a chunk of output, and of the bytes of an
/// [`EntryBatch`]. Backends coalesce up to this size.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// The maximum number of entries in an [`EntryBatch`].
pub const MAX_BATCH_ENTRIES: usize = 4_096;

/// The bit of [`EntryHeader::attributes`] for an entry that was written to
/// standard error.
pub const ENTRY_STDERR: u32 = 1 << 0;

/// The bit of [`EntryHeader::attributes`] for an entry without a newline.
pub const ENTRY_PARTIAL: u32 = 1 << 1;
