//! The contract's records and enumerations, re-exported from the generated
//! bindings, and its limits.
//!
//! # Errors
//!
//! Every call fails with an [`Error`]: a code for programs, and a message for
//! people. `wit/` lists the codes of each call. There is a constructor for each
//! code; a message is one sentence in lower case without a full stop, and is the
//! engine's own if it gave one:
//!
//! ```
//! use rdd_sdk::http::{HttpResponse, StatusCode};
//! use rdd_sdk::types::{Error, ErrorCode};
//!
//! fn check(response: HttpResponse) -> Result<HttpResponse, Error> {
//!     let message = String::from_utf8_lossy(&response.body).into_owned();
//!     match response.head.status {
//!         status if status.is_success() => Ok(response),
//!         StatusCode::NOT_FOUND => Err(Error::not_found(message)),
//!         StatusCode::CONFLICT => Err(Error::conflict(message)),
//!         // A code of the engine's own, for programs that know it.
//!         StatusCode::INSUFFICIENT_STORAGE => {
//!             Err(Error::new(ErrorCode::Other("disk-full".to_owned()), message))
//!         }
//!         status => Err(Error::internal(format!("the engine returned {status}: {message}"))),
//!     }
//! }
//! ```
//!
//! The errors of a [`Host`](crate::Host) and of the clients in this crate are of
//! the same type, so that `?` is usually right.

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
