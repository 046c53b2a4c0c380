#![doc = include_str!("../README.md")]
//!
//! # For maintainers
//!
//! The code that depends on the component model is in `component` and
//! [`bindings`], the code that depends on the C ABI in `library`, and the code
//! that depends on a runtime in `native`. Everything else, and every backend, is
//! the same in both forms of a plugin.

// The generated code refers to this crate by its full name, also from within.
extern crate self as rdd_sdk;

mod backend;
mod host;
mod input;
mod sink;

mod error;
mod time;
pub mod types;

pub mod demux;
pub mod entries;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;
#[cfg(feature = "http2")]
pub mod http2;

pub mod bindings;
#[cfg(target_family = "wasm")]
pub mod component;
#[cfg(all(feature = "library", not(target_family = "wasm")))]
pub mod library;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub mod native;

pub use backend::Backend;
pub use host::{BoxConnection, EngineConnection, Host, HostApi};
pub use input::{ExecInput, InputReader, InputStream};
pub use sink::{
    EntryResponder, EntrySink, LogResponder, LogSink, OutputResponder, OutputSink, SinkWriter,
    StreamResponder, StreamSink, TransferResponder, TransferSink, WatchResponder, WatchSink,
};
#[doc(hidden)]
pub use wit_bindgen;
