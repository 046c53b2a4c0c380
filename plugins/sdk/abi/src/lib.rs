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

// In layers: each module uses only those after it.

mod library;

mod host;

mod object;

mod value;

pub mod waker;

pub use host::*;
pub use library::*;
pub use object::*;
pub use value::*;

/// The major version of the ABI.
pub const ABI_MAJOR: u32 = 0;
/// The minor version of the ABI.
pub const ABI_MINOR: u32 = 1;

/// The name of the only symbol that a library exports.
pub const ENTRY_SYMBOL: &str = "rdd_backend_library";
