//! The contract's records and enumerations, re-exported from the generated
//! bindings, and its limits.

pub use crate::bindings::exports::rancher_desktop::engine::engine::{
    BackendInfo, Capabilities, Event, IdForm, Inspection, LogChunk, LogOptions, LogSource,
};
pub use crate::bindings::exports::rancher_desktop::engine::lifecycle::{Action, Removal};
pub use crate::bindings::rancher_desktop::engine::host::LogLevel;
pub use crate::bindings::rancher_desktop::engine::types::{
    Container, ContainerState, Error, ErrorCode, Image, Object, ObjectKind, ObjectRef, Port,
    PortBinding, Timestamp, Volume,
};

/// The maximum size of a string that a backend sends to the host.
pub const MAX_STRING_BYTES: usize = 1 << 20;

/// The maximum size of a record that a backend sends to the host.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// The maximum size of a log chunk. Backends coalesce up to this size.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;
