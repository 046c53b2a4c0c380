//! What the functions of the host that the library calls share: their arguments,
//! errors, and panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdd_core::ErrorCode;
use rdd_sdk_abi as abi;

/// The message of the error for a panic. It is static, because another thread may
/// call the same function meanwhile.
const HOST_PANIC: &str = "the daemon panicked; please report this with the daemon's log";

/// Sets the error of a function.
///
/// # Safety
///
/// What the ABI demands: `error` is NULL or valid. `message` must live as long as
/// the ABI says.
pub(crate) unsafe fn set_error(error: *mut abi::Error, code: u32, message: &str) -> abi::Status {
    // SAFETY: the caller guarantees it. Every version has these fields.
    if let Some(error) = unsafe { error.as_mut() } {
        error.code = code;
        error.message = abi::Bytes::new(message.as_bytes());
    }
    abi::ERROR
}

/// Returns the number of an error code of the host.
pub(crate) fn code_number(code: &ErrorCode) -> u32 {
    use abi::error_code as codes;
    match code {
        ErrorCode::NotFound => codes::NOT_FOUND,
        ErrorCode::InvalidArgument => codes::INVALID_ARGUMENT,
        ErrorCode::Conflict => codes::CONFLICT,
        ErrorCode::Replaced => codes::REPLACED,
        ErrorCode::PermissionDenied => codes::PERMISSION_DENIED,
        ErrorCode::Unavailable | ErrorCode::LimitReached => codes::UNAVAILABLE,
        ErrorCode::Unsupported => codes::UNSUPPORTED,
        ErrorCode::Timeout => codes::TIMEOUT,
        ErrorCode::Cancelled => codes::CANCELLED,
        _ => codes::INTERNAL,
    }
}

/// Runs a function of the host for the library. A panic becomes an error.
///
/// # Safety
///
/// As for [`set_error`].
pub(crate) unsafe fn guarded(
    error: *mut abi::Error,
    function: impl FnOnce() -> abi::Status,
) -> abi::Status {
    match catch_unwind(AssertUnwindSafe(function)) {
        Ok(status) => status,
        // SAFETY: the message is static, and the rest is passed on.
        Err(_) => unsafe { set_error(error, abi::error_code::INTERNAL, HOST_PANIC) },
    }
}

/// Copies an argument of the library. Returns `None` for a NULL pointer with a
/// length.
///
/// # Safety
///
/// What the ABI demands: the address is valid for the length during the call.
pub(crate) unsafe fn argument<'a>(bytes: abi::Bytes) -> Option<&'a [u8]> {
    match bytes {
        abi::Bytes { length: 0, .. } => Some(&[]),
        abi::Bytes { data, .. } if data.is_null() => None,
        abi::Bytes { length, .. } if length > isize::MAX.unsigned_abs() => None,
        // SAFETY: not NULL, and the ABI demands the rest.
        abi::Bytes { data, length } => Some(unsafe { std::slice::from_raw_parts(data, length) }),
    }
}
