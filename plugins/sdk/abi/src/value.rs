//! Bytes, statuses, and errors.

use std::ptr;

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
