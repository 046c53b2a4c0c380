//! The contract's records and enumerations, under short names.

pub use crate::bindings::exports::rancher_desktop::engine::engine::{
    BackendInfo, Capabilities, Event, IdForm, Inspection, LogChunk, LogOptions, LogSource,
};
pub use crate::bindings::exports::rancher_desktop::engine::lifecycle::{Action, Removal};
pub use crate::bindings::rancher_desktop::engine::host::LogLevel;
pub use crate::bindings::rancher_desktop::engine::types::{
    Container, ContainerState, Error, ErrorCode, Image, Object, ObjectKind, ObjectRef, Port,
    PortBinding, Timestamp, Volume,
};

/// The longest text that may cross to the host, in bytes.
pub const MAX_STRING: usize = 1 << 20;

/// The largest record that may cross to the host, in bytes.
pub const MAX_RECORD: usize = 4 << 20;

/// Log bytes are coalesced up to this many in one chunk.
pub const MAX_CHUNK: usize = 64 * 1024;
