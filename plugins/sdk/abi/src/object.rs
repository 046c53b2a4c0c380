//! Wakers, and the objects of the library.

use std::ptr;

use crate::value::{Bytes, Error, Status};

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
