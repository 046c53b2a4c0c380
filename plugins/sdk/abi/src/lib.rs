//! The structures of `plugins/sdk/include/rdd_backend.h` as Rust types, for the
//! host that loads a library and for the SDK that makes one.
//!
//! The header is the reference: it documents each field and who owns what. A
//! test compiles it and compares the sizes and offsets. The types are written by
//! hand, because a generator (bindgen) needs libclang at build time.
//!
//! Function pointers are `Option`s, since a structure from the other side may
//! contain NULL.

#![allow(unsafe_code, reason = "wakers cross the boundary by their C functions")]

pub mod waker;

use std::ptr;

/// The major version of the ABI.
pub const ABI_MAJOR: u32 = 0;
/// The minor version of the ABI.
pub const ABI_MINOR: u32 = 1;

/// The name of the only symbol that a library exports.
pub const ENTRY_SYMBOL: &str = "rdd_backend_library";

/// A borrowed run of bytes (`rdd_bytes`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The address; may be NULL if the length is 0.
    pub data: *const u8,
    /// The number of bytes.
    pub length: usize,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self {
        data: ptr::null(),
        length: 0,
    };

    /// Borrows `bytes`, which the caller must keep as long as the ABI requires.
    pub const fn new(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            length: bytes.len(),
        }
    }
}

/// The result of a function (`rdd_status`).
pub type Status = i32;

/// Done; the results are set.
pub const READY: Status = 0;
/// Not yet; the waker will be woken.
pub const PENDING: Status = 1;
/// The end of a stream, or of an input that nobody reads.
pub const END: Status = 2;
/// Failed; the error is set.
pub const ERROR: Status = 3;
/// A bug of the library; the error's message is set.
pub const PANIC: Status = 4;

/// The codes of an [`Error`].
pub mod error_code {
    /// `not-found`
    pub const NOT_FOUND: u32 = 1;
    /// `invalid-argument`
    pub const INVALID_ARGUMENT: u32 = 2;
    /// `conflict`
    pub const CONFLICT: u32 = 3;
    /// `replaced`
    pub const REPLACED: u32 = 4;
    /// `permission-denied`
    pub const PERMISSION_DENIED: u32 = 5;
    /// `unavailable`
    pub const UNAVAILABLE: u32 = 6;
    /// `unsupported`
    pub const UNSUPPORTED: u32 = 7;
    /// `timeout`
    pub const TIMEOUT: u32 = 8;
    /// `cancelled`
    pub const CANCELLED: u32 = 9;
    /// `internal`
    pub const INTERNAL: u32 = 10;
    /// `other`, with a name
    pub const OTHER: u32 = 11;
}

/// An error (`rdd_error`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Error {
    /// The size of this structure in bytes.
    pub size: usize,
    /// One of [`error_code`].
    pub code: u32,
    /// 0.
    pub reserved: u32,
    /// The message.
    pub message: Bytes,
    /// The name of [`error_code::OTHER`].
    pub name: Bytes,
}

impl Error {
    /// Returns the structure that a caller passes to a function.
    pub const fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            code: 0,
            reserved: 0,
            message: Bytes::EMPTY,
            name: Bytes::EMPTY,
        }
    }
}

impl Default for Error {
    fn default() -> Self {
        Self::new()
    }
}

/// A waker (`rdd_waker`).
#[repr(C)]
#[derive(Debug)]
pub struct Waker {
    /// The waker's functions.
    pub vtable: *const WakerVtable,
}

/// The functions of a waker (`rdd_waker_vtable`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WakerVtable {
    /// The size of this structure in bytes.
    pub size: usize,
    /// Returns another reference.
    pub clone: Option<unsafe extern "C" fn(waker: *const Waker) -> *mut Waker>,
    /// Wakes, and drops the reference.
    pub wake: Option<unsafe extern "C" fn(waker: *mut Waker)>,
    /// Wakes, and keeps the reference.
    pub wake_by_ref: Option<unsafe extern "C" fn(waker: *const Waker)>,
    /// Drops the reference.
    pub drop: Option<unsafe extern "C" fn(waker: *mut Waker)>,
}

/// A call in progress (`rdd_call`).
#[repr(C)]
#[derive(Debug)]
pub struct Call {
    /// The call's functions.
    pub vtable: *const CallVtable,
}

/// The type of [`CallVtable::poll`].
pub type PollCall = unsafe extern "C" fn(
    call: *mut Call,
    waker: *const Waker,
    result: *mut Bytes,
    error: *mut Error,
) -> Status;

/// The functions of a call (`rdd_call_vtable`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CallVtable {
    /// The size of this structure in bytes.
    pub size: usize,
    /// Polls for the result.
    pub poll: Option<PollCall>,
    /// Cancels and frees the call.
    pub close: Option<unsafe extern "C" fn(call: *mut Call)>,
}

/// The description of a log entry (`rdd_entry_header`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
    /// The length of the entry's bytes.
    pub length: u32,
    /// A combination of [`ENTRY_STDERR`] and [`ENTRY_PARTIAL`].
    pub attributes: u32,
}

/// The entry was written to standard error.
pub const ENTRY_STDERR: u32 = 1;
/// The log has no newline after the entry.
pub const ENTRY_PARTIAL: u32 = 2;

/// The source of a chunk: standard output.
pub const STDOUT: u32 = 0;
/// The source of a chunk: standard error.
pub const STDERR: u32 = 1;

/// The values of [`Item::gap`].
pub mod gap {
    /// No gap.
    pub const NONE: u32 = 0;
    /// `rotated`
    pub const ROTATED: u32 = 1;
    /// `replaced`
    pub const REPLACED: u32 = 2;
    /// `lagged`
    pub const LAGGED: u32 = 3;
    /// `unknown`
    pub const UNKNOWN: u32 = 4;
}

/// One item of a stream (`rdd_item`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The size of this structure in bytes.
    pub size: usize,
    /// The bytes of the item, or its JSON text.
    pub bytes: Bytes,
    /// The headers of the entries.
    pub headers: *const EntryHeader,
    /// The number of headers.
    pub header_count: u32,
    /// The source of a chunk.
    pub source: u32,
    /// The gap before the entries.
    pub gap: u32,
    /// 0.
    pub reserved: u32,
}

impl Item {
    /// Returns the structure that a caller passes to a function.
    pub const fn new() -> Self {
        Self {
            size: size_of::<Self>(),
            bytes: Bytes::EMPTY,
            headers: ptr::null(),
            header_count: 0,
            source: 0,
            gap: 0,
            reserved: 0,
        }
    }
}

impl Default for Item {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream in progress (`rdd_stream`).
#[repr(C)]
#[derive(Debug)]
pub struct Stream {
    /// The stream's functions.
    pub vtable: *const StreamVtable,
}

/// The type of functions of a stream that have no result.
pub type PollStream =
    unsafe extern "C" fn(stream: *mut Stream, waker: *const Waker, error: *mut Error) -> Status;

/// The type of [`StreamVtable::poll_next`].
pub type PollNext = unsafe extern "C" fn(
    stream: *mut Stream,
    waker: *const Waker,
    item: *mut Item,
    error: *mut Error,
) -> Status;

/// The type of [`StreamVtable::poll_write`].
pub type PollStreamWrite = unsafe extern "C" fn(
    stream: *mut Stream,
    waker: *const Waker,
    bytes: Bytes,
    accepted: *mut usize,
    error: *mut Error,
) -> Status;

/// The type of [`StreamVtable::poll_exit`].
pub type PollExit = unsafe extern "C" fn(
    stream: *mut Stream,
    waker: *const Waker,
    exit_code: *mut i32,
    error: *mut Error,
) -> Status;

/// The functions of a stream (`rdd_stream_vtable`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StreamVtable {
    /// The size of this structure in bytes.
    pub size: usize,
    /// Waits until the engine has begun to respond.
    pub poll_open: Option<PollStream>,
    /// Polls for the next item.
    pub poll_next: Option<PollNext>,
    /// Cancels and frees the stream.
    pub close: Option<unsafe extern "C" fn(stream: *mut Stream)>,
    /// Accepts standard input.
    pub poll_write: Option<PollStreamWrite>,
    /// Ends the standard input.
    pub poll_shutdown: Option<PollStream>,
    /// Sets the size of the terminal.
    pub resize: Option<unsafe extern "C" fn(stream: *mut Stream, columns: u16, rows: u16)>,
    /// Polls for the exit code.
    pub poll_exit: Option<PollExit>,
}

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

/// An instance, which only the library can look into (`rdd_instance`).
#[repr(C)]
#[derive(Debug)]
pub struct Instance {
    _private: [u8; 0],
}

/// The type of functions that begin a call with one result (`rdd_start_call`).
pub type StartCall = unsafe extern "C" fn(
    instance: *mut Instance,
    parameters: Bytes,
    call: *mut *mut Call,
    error: *mut Error,
) -> Status;

/// The type of functions that begin a stream (`rdd_start_stream`).
pub type StartStream = unsafe extern "C" fn(
    instance: *mut Instance,
    parameters: Bytes,
    stream: *mut *mut Stream,
    error: *mut Error,
) -> Status;

/// The type of [`Library::describe`].
pub type Describe = unsafe extern "C" fn(info: *mut Bytes, error: *mut Error) -> Status;

/// The type of [`Library::create`].
pub type Create = unsafe extern "C" fn(
    host: *const Host,
    instance: *mut *mut Instance,
    error: *mut Error,
) -> Status;

/// The functions of a library (`rdd_library`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// The size of this structure in bytes.
    pub size: usize,
    /// The major version that the library uses.
    pub major: u32,
    /// The minor version that the library uses.
    pub minor: u32,
    /// Returns the backend's description of itself.
    pub describe: Option<Describe>,
    /// Creates an instance.
    pub create: Option<Create>,
    /// Frees an instance.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut Instance)>,
    /// `engine.watch`
    pub watch: Option<StartStream>,
    /// `engine.ping`
    pub ping: Option<StartCall>,
    /// `engine.inspect`
    pub inspect: Option<StartCall>,
    /// `logs.get-logs`
    pub get_logs: Option<StartStream>,
    /// `logs.get-entries`
    pub get_entries: Option<StartStream>,
    /// `lifecycle.act`
    pub act: Option<StartCall>,
    /// `lifecycle.remove`
    pub remove: Option<StartCall>,
    /// `lifecycle.create-container`
    pub create_container: Option<StartCall>,
    /// `lifecycle.create-volume`
    pub create_volume: Option<StartCall>,
    /// `processes.exec`
    pub exec: Option<StartStream>,
    /// `images.pull`
    pub pull: Option<StartStream>,
    /// `images.push`
    pub push: Option<StartStream>,
}

/// The type of the exported function [`ENTRY_SYMBOL`].
pub type Entry = unsafe extern "C" fn(host_major: u32, host_minor: u32) -> *const Library;
