//! Reads what a library returns: bytes, texts, errors, and objects.
//!
//! Everything that can be checked is checked before it is used. What cannot be
//! checked, such as whether an address is valid, is part of the trust statement
//! in `plugins/sdk/include/rdd_backend.h`, to which the comments refer as "the
//! ABI".

use std::slice;

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::validation;
use rdd_sdk_abi as abi;

use crate::library_fault::{CallError, LibraryFault, contract_fault};
use crate::thread_tracker::CallSite;

/// The maximum size of a JSON text: the record of 4 MiB that the contract allows,
/// with escapes and field names.
pub(crate) const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// The size of the largest structure that a later version of the ABI may have. A
/// larger size is a sign of damaged memory.
const MAX_STRUCT_BYTES: usize = 4096;
/// The length to which the message of a panic is truncated, that of an error.
const MAX_PANIC_BYTES: usize = 4 * 1024;

/// Borrows the bytes `what` that `site` returned.
///
/// # Safety
///
/// Nothing but what the ABI demands of the library: the address is valid for the
/// length, and remains so until the next call of the instance, which must not
/// happen within `'a`.
pub(crate) unsafe fn bytes<'a>(
    site: CallSite,
    what: &str,
    bytes: abi::Bytes,
    max_bytes: usize,
) -> Result<&'a [u8], LibraryFault> {
    let abi::Bytes { data, length } = bytes;
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(contract_fault!(
            "{site} returned a NULL pointer with the length {length} for its {what}"
        ));
    }
    if length > max_bytes {
        return Err(contract_fault!(
            "{site} returned {length} bytes for its {what}; {max_bytes} are allowed"
        ));
    }
    // SAFETY: the address is not NULL, the length is at most `isize::MAX`, and the
    // ABI demands the rest.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}

/// Copies the text `what` that `site` returned.
///
/// # Safety
///
/// As for [`bytes()`].
pub(crate) unsafe fn text(
    site: CallSite,
    what: &str,
    text: abi::Bytes,
) -> Result<String, LibraryFault> {
    // SAFETY: passed on to the caller; the result is copied before it returns.
    let bytes = unsafe { bytes(site, what, text, MAX_TEXT_BYTES)? };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(contract_fault!(
            "{site} returned a {what} that is not UTF-8 at its byte {}",
            error.valid_up_to()
        )),
    }
}

/// Borrows the headers of log entries.
///
/// # Safety
///
/// As for [`bytes()`].
pub(crate) unsafe fn headers<'a>(
    site: CallSite,
    item: &abi::Item,
    max_headers: usize,
) -> Result<&'a [abi::EntryHeader], LibraryFault> {
    let count = item.header_count as usize;
    if count == 0 {
        return Ok(&[]);
    }
    if item.headers.is_null() {
        return Err(contract_fault!(
            "{site} returned a NULL pointer for {count} headers"
        ));
    }
    if !item.headers.is_aligned() {
        return Err(contract_fault!(
            "{site} returned headers that are not aligned"
        ));
    }
    if count > max_headers {
        return Err(contract_fault!(
            "{site} returned {count} entries; {max_headers} are allowed"
        ));
    }
    // SAFETY: the address is aligned and not NULL, and the ABI demands the rest.
    Ok(unsafe { slice::from_raw_parts(item.headers, count) })
}

/// Converts a status that is neither [`abi::READY`] nor one that the caller
/// handles, and the error that came with it.
///
/// # Safety
///
/// As for [`bytes()`], for the texts of the error.
pub(crate) unsafe fn failure(site: CallSite, status: abi::Status, error: &abi::Error) -> CallError {
    // SAFETY: passed on to the caller.
    let message = unsafe { text(site, "error message", error.message) };
    let message = match message {
        Ok(message) => message,
        Err(fault) => return fault.into(),
    };
    match status {
        // SAFETY: passed on to the caller.
        abi::ERROR => match unsafe { error_code(site, error) } {
            Ok(code) => {
                CallError::Failed(validation::engine_error(EngineError::new(code, message)))
            }
            Err(fault) => fault.into(),
        },
        abi::PANIC => {
            LibraryFault::Panic(rdd_core::text::truncate(&message, MAX_PANIC_BYTES).to_owned())
                .into()
        }
        status => contract_fault!("{site} returned the invalid status {status}").into(),
    }
}

/// # Safety
///
/// As for [`bytes()`], for the name of the code.
unsafe fn error_code(site: CallSite, error: &abi::Error) -> Result<ErrorCode, LibraryFault> {
    use abi::error_code as codes;
    Ok(match error.code {
        codes::NOT_FOUND => ErrorCode::NotFound,
        codes::INVALID_ARGUMENT => ErrorCode::InvalidArgument,
        codes::CONFLICT => ErrorCode::Conflict,
        codes::REPLACED => ErrorCode::Replaced,
        codes::PERMISSION_DENIED => ErrorCode::PermissionDenied,
        codes::UNAVAILABLE => ErrorCode::Unavailable,
        codes::UNSUPPORTED => ErrorCode::Unsupported,
        codes::TIMEOUT => ErrorCode::Timeout,
        codes::CANCELLED => ErrorCode::Cancelled,
        codes::INTERNAL => ErrorCode::Internal,
        codes::OTHER => {
            // SAFETY: passed on to the caller.
            ErrorCode::Other(unsafe { text(site, "error name", error.name)? })
        }
        code => {
            return Err(contract_fault!(
                "{site} failed with the invalid error code {code}"
            ));
        }
    })
}

/// A structure of the ABI that begins with its size.
pub(crate) trait SizedStruct: Copy {
    /// The name in the header.
    const NAME: &'static str;
}

macro_rules! sized_structs {
    ($($type:ident $name:literal),*) => { $(
        impl SizedStruct for abi::$type {
            const NAME: &'static str = $name;
        }
    )* };
}
sized_structs!(
    CallVtable "rdd_call_vtable",
    StreamVtable "rdd_stream_vtable",
    Library "rdd_library"
);

/// Copies a structure from the other side, after checking its address and size.
///
/// # Safety
///
/// What the ABI demands: a pointer that is not NULL refers to a structure of the
/// size that it contains.
pub(crate) unsafe fn read_struct<T: SizedStruct>(
    site: CallSite,
    pointer: *const T,
) -> Result<T, LibraryFault> {
    let name = T::NAME;
    if pointer.is_null() {
        return Err(contract_fault!("{site} returned no {name}"));
    }
    if !pointer.is_aligned() {
        return Err(contract_fault!(
            "{site} returned an {name} that is not aligned"
        ));
    }
    // SAFETY: every version of the structure begins with its size, and the pointer
    // is aligned and not NULL.
    let size = unsafe { pointer.cast::<usize>().read() };
    check_size(site, name, size, size_of::<T>())?;
    // SAFETY: the structure has at least the fields of `T`.
    Ok(unsafe { pointer.read() })
}

fn check_size(
    site: CallSite,
    name: &str,
    size: usize,
    min_size: usize,
) -> Result<(), LibraryFault> {
    if size > MAX_STRUCT_BYTES || !size.is_multiple_of(align_of::<usize>()) {
        return Err(contract_fault!(
            "{site} returned an {name} whose size is {size}, which cannot be right"
        ));
    }
    if size < min_size {
        return Err(contract_fault!(
            "{site} returned an {name} of {size} bytes; this version of the ABI has {min_size}"
        ));
    }
    Ok(())
}

/// Returns a function of a structure, which must not be NULL.
pub(crate) fn required<F>(
    site: CallSite,
    structure: &str,
    name: &str,
    function: Option<F>,
) -> Result<F, LibraryFault> {
    function.ok_or_else(|| contract_fault!("{site} returned an {structure} without {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: CallSite = CallSite::new("inspect", "poll");

    #[test]
    fn what_can_be_checked_is_checked() {
        let null = abi::Bytes {
            data: std::ptr::null(),
            length: 5,
        };
        // SAFETY: nothing is read from a NULL pointer.
        let error = unsafe { bytes(SITE, "result", null, 10) }.unwrap_err();
        assert!(error.to_string().contains("NULL pointer"), "{error}");
        // SAFETY: the bytes are static.
        let error = unsafe { bytes(SITE, "result", abi::Bytes::new(b"123456"), 5) }.unwrap_err();
        assert!(error.to_string().contains("6 bytes"), "{error}");
        // SAFETY: the bytes are static.
        let error = unsafe { text(SITE, "result", abi::Bytes::new(b"ab\xff")) }.unwrap_err();
        assert!(error.to_string().contains("its byte 2"), "{error}");
    }

    #[test]
    fn sizes_that_cannot_be_right_are_named() {
        let checked = |size| check_size(SITE, "rdd_library", size, 100).map_err(|e| e.to_string());
        assert_eq!(checked(104), Ok(()));
        assert!(checked(8).unwrap_err().contains("of 8 bytes"));
        assert!(checked(107).unwrap_err().contains("cannot be right"));
        assert!(checked(usize::MAX).unwrap_err().contains("cannot be right"));
    }
}
