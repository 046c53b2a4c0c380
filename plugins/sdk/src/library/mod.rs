//! A backend as a dynamic library: the C ABI of
//! `plugins/sdk/include/rdd_backend.h`, implemented by a [`Backend`](crate::Backend).
//!
//! The host polls; there is no thread and no executor here. A call is a future in
//! an object. Each function of the object polls the future with wakers of the
//! host, so everything happens on the thread of the instance, as a backend
//! expects.
//!
//! Panics are caught in every function, and become the status `RDD_PANIC`. The
//! crate must therefore not be compiled with `panic = "abort"`.
#![allow(
    unsafe_code,
    reason = "the boundary to the host; each block names what it relies on"
)]

mod exports;
mod guard;
mod records;

mod call_object;
mod process_input;
mod stream_item;
mod stream_object;
mod task;

mod connection;
mod host;
mod host_call;

pub use exports::{LibraryExports, functions};
pub use rdd_sdk_abi as abi;
