//! Connections, and the functions of the daemon.

use crate::object::{Call, Waker};
use crate::value::{Bytes, Error, Status};

/// A connection to the engine (`rdd_connection`).
#[repr(C)]
#[derive(Debug)]
pub struct Connection {
    /// The connection's functions.
    pub vtable: *const ConnectionVtable,
}

/// The type of functions of a connection that have no result.
pub type PollConnection = unsafe extern "C" fn(
    connection: *mut Connection,
    waker: *const Waker,
    error: *mut Error,
) -> Status;

/// The type of [`ConnectionVtable::poll_read`].
pub type PollRead = unsafe extern "C" fn(
    connection: *mut Connection,
    waker: *const Waker,
    buffer: *mut u8,
    capacity: usize,
    count: *mut usize,
    error: *mut Error,
) -> Status;

/// The type of [`ConnectionVtable::poll_write`].
pub type PollWrite = unsafe extern "C" fn(
    connection: *mut Connection,
    waker: *const Waker,
    bytes: Bytes,
    count: *mut usize,
    error: *mut Error,
) -> Status;

/// The functions of a connection (`rdd_connection_vtable`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ConnectionVtable {
    /// The size of this structure in bytes.
    pub size: usize,
    /// Waits for the connection.
    pub poll_connect: Option<PollConnection>,
    /// Reads bytes.
    pub poll_read: Option<PollRead>,
    /// Writes bytes.
    pub poll_write: Option<PollWrite>,
    /// Waits until the bytes have been sent.
    pub poll_flush: Option<PollConnection>,
    /// Half-closes the connection.
    pub poll_shutdown: Option<PollConnection>,
    /// Closes and frees the connection.
    pub close: Option<unsafe extern "C" fn(connection: *mut Connection)>,
}

/// A granted directory (`rdd_directory`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Directory {
    /// The name in the manifest.
    pub name: Bytes,
    /// The absolute path.
    pub path: Bytes,
}

/// The values of the level that [`Host::log`] takes.
pub mod log_level {
    /// `trace`
    pub const TRACE: u32 = 0;
    /// `debug`
    pub const DEBUG: u32 = 1;
    /// `info`
    pub const INFO: u32 = 2;
    /// `warn`
    pub const WARN: u32 = 3;
    /// `error`
    pub const ERROR: u32 = 4;
}

/// The type of [`Host::sleep`].
pub type Sleep = unsafe extern "C" fn(
    host: *const Host,
    nanoseconds: u64,
    timer: *mut *mut Call,
    error: *mut Error,
) -> Status;

/// The type of [`Host::connect`].
pub type Connect = unsafe extern "C" fn(
    host: *const Host,
    connection: *mut *mut Connection,
    error: *mut Error,
) -> Status;

/// The type of [`Host::get_credentials`].
pub type GetCredentials = unsafe extern "C" fn(
    host: *const Host,
    registry: Bytes,
    call: *mut *mut Call,
    error: *mut Error,
) -> Status;

/// The functions of the daemon for one instance (`rdd_host`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The size of this structure in bytes.
    pub size: usize,
    /// The major version that both sides use.
    pub major: u32,
    /// The minor version that both sides use.
    pub minor: u32,
    /// The granted directories.
    pub directories: *const Directory,
    /// The number of granted directories.
    pub directory_count: usize,
    /// Writes a line to the daemon's log.
    pub log: Option<unsafe extern "C" fn(host: *const Host, level: u32, message: Bytes)>,
    /// Returns the time of the wall clock.
    pub now:
        Option<unsafe extern "C" fn(host: *const Host, seconds: *mut i64, nanoseconds: *mut u32)>,
    /// Returns the time of the monotonic clock in nanoseconds.
    pub monotonic_now: Option<unsafe extern "C" fn(host: *const Host) -> u64>,
    /// Returns 64 random bits.
    pub random: Option<unsafe extern "C" fn(host: *const Host) -> u64>,
    /// Creates a timer.
    pub sleep: Option<Sleep>,
    /// Creates a connection to the engine.
    pub connect: Option<Connect>,
    /// Requests the credentials for a registry.
    pub get_credentials: Option<GetCredentials>,
}
