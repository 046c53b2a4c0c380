//! The boundary of a function: errors, panics, and borrowed bytes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdd_sdk_abi as abi;
use rdd_sdk_abi::error_code as codes;

use crate::types::{Error, ErrorCode};

/// What an object or an instance has returned, which the host borrows until the
/// next call.
#[derive(Default)]
pub(super) struct ReturnBuffer {
    message: String,
    name: String,
    pub(super) bytes: Vec<u8>,
}

/// The outcome of a function.
pub(super) enum PollOutcome {
    Ready,
    Pending,
    End,
    Failed(Error),
}

impl ReturnBuffer {
    /// Sets an error whose texts live in this buffer.
    ///
    /// # Safety
    ///
    /// `error` is NULL or valid.
    unsafe fn set_error(&mut self, error: *mut abi::Error, code: u32, name: &str, message: String) {
        message.clone_into(&mut self.message);
        name.clone_into(&mut self.name);
        // SAFETY: the caller guarantees it. All versions have these fields.
        if let Some(error) = unsafe { error.as_mut() } {
            error.code = code;
            error.message = abi::Bytes::new(self.message.as_bytes());
            error.name = abi::Bytes::new(self.name.as_bytes());
        }
    }

    /// Converts the result of a function, or a panic, to a status.
    ///
    /// # Safety
    ///
    /// `error` is NULL or valid.
    pub(super) unsafe fn finish(
        &mut self,
        error: *mut abi::Error,
        outcome: Result<PollOutcome, PanicMessage>,
    ) -> abi::Status {
        match outcome {
            Ok(PollOutcome::Ready) => abi::READY,
            Ok(PollOutcome::Pending) => abi::PENDING,
            Ok(PollOutcome::End) => abi::END,
            Ok(PollOutcome::Failed(Error { code, message })) => {
                let (code, name) = number(&code);
                // SAFETY: passed on to the caller.
                unsafe { self.set_error(error, code, name, message) };
                abi::ERROR
            }
            Err(PanicMessage(message)) => {
                // SAFETY: passed on to the caller.
                unsafe { self.set_error(error, codes::INTERNAL, "", message) };
                abi::PANIC
            }
        }
    }
}

/// Returns the number of a code, and the name of another one.
fn number(code: &ErrorCode) -> (u32, &str) {
    let number = match code {
        ErrorCode::NotFound => codes::NOT_FOUND,
        ErrorCode::InvalidArgument => codes::INVALID_ARGUMENT,
        ErrorCode::Conflict => codes::CONFLICT,
        ErrorCode::Replaced => codes::REPLACED,
        ErrorCode::PermissionDenied => codes::PERMISSION_DENIED,
        ErrorCode::Unavailable => codes::UNAVAILABLE,
        ErrorCode::Unsupported => codes::UNSUPPORTED,
        ErrorCode::Timeout => codes::TIMEOUT,
        ErrorCode::Cancelled => codes::CANCELLED,
        ErrorCode::Internal => codes::INTERNAL,
        ErrorCode::Other(name) => return (codes::OTHER, name),
    };
    (number, "")
}

/// The message of a panic.
#[derive(Clone, Debug)]
pub(super) struct PanicMessage(pub(super) String);

/// Runs `function`, and catches a panic.
pub(super) fn catch<T>(function: impl FnOnce() -> T) -> Result<T, PanicMessage> {
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| {
        let message = message_of(&*payload);
        // Its destructor could panic again. What that leaves is leaked.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
            std::mem::forget(payload);
        }
        PanicMessage(message)
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

/// Borrows bytes of the host.
///
/// # Safety
///
/// The address is valid for the length during `'a`.
pub(super) unsafe fn borrow<'a>(bytes: abi::Bytes) -> &'a [u8] {
    match bytes {
        abi::Bytes { length: 0, .. } => &[],
        // SAFETY: the caller guarantees it.
        abi::Bytes { data, length } => unsafe { std::slice::from_raw_parts(data, length) },
    }
}

/// Copies an error of the host.
///
/// # Safety
///
/// Its texts are valid.
pub(super) unsafe fn read_error(error: &abi::Error) -> Error {
    let code = match error.code {
        codes::NOT_FOUND => ErrorCode::NotFound,
        codes::INVALID_ARGUMENT => ErrorCode::InvalidArgument,
        codes::CONFLICT => ErrorCode::Conflict,
        codes::REPLACED => ErrorCode::Replaced,
        codes::PERMISSION_DENIED => ErrorCode::PermissionDenied,
        codes::UNAVAILABLE => ErrorCode::Unavailable,
        codes::UNSUPPORTED => ErrorCode::Unsupported,
        codes::TIMEOUT => ErrorCode::Timeout,
        codes::CANCELLED => ErrorCode::Cancelled,
        _ => ErrorCode::Internal,
    };
    // SAFETY: the caller guarantees it.
    let message = unsafe { borrow(error.message) };
    Error {
        code,
        message: String::from_utf8_lossy(message).into_owned(),
    }
}
