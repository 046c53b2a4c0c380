#![doc = include_str!("../README.md")]
//!
//! # For maintainers
//!
//! The code that depends on the component model is in `component` and
//! [`bindings`], the code that depends on the C ABI in `library`, and the code
//! that depends on a runtime in `testing`. Everything else, and every backend, is
//! the same in both forms of a plugin.

// The generated code refers to this crate by its full name, also from within.
extern crate self as rdd_sdk;

/// The version of the contract that this SDK implements: that of the package in
/// `wit/`.
pub const CONTRACT_VERSION: &str = "0.1.0";

// In layers: each module uses only those after it.

mod export;

#[cfg(target_family = "wasm")]
pub mod component;
#[cfg(all(feature = "library", not(target_family = "wasm")))]
pub mod library;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;

mod backend;

#[cfg(feature = "grpc")]
pub mod grpc;

#[cfg(feature = "http2")]
pub mod http2;

pub mod http;

pub mod demux;
pub mod entries;
mod host;
mod input;
mod sink;

mod error;
mod time;

pub mod types;

pub mod bindings;

pub use backend::Backend;
pub use host::{BoxConnection, EngineConnection, Host, HostApi};
pub use input::{ExecInput, InputReader, InputStream};
pub use sink::{
    EntryResponder, EntrySink, LogResponder, LogSink, OutputResponder, OutputSink, SinkWriter,
    StreamResponder, StreamSink, TransferResponder, TransferSink, WatchResponder, WatchSink,
};
#[doc(hidden)]
pub use wit_bindgen;

#[cfg(test)]
mod tests {
    #[test]
    fn the_contract_has_the_version_that_is_documented() {
        let package = format!(
            "package rancher-desktop:engine@{};",
            super::CONTRACT_VERSION
        );
        assert_eq!(
            include_str!("../wit/world.wit").lines().next(),
            Some(&*package)
        );
        let row = format!(
            "| {}.{} | `rancher-desktop:engine@{}` |",
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
            super::CONTRACT_VERSION
        );
        assert!(
            include_str!("../README.md").contains(&row),
            "the README has no row {row}"
        );
        let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
        assert!(
            include_str!("../CHANGELOG.md").contains(&heading),
            "no {heading} in the changelog"
        );
    }
}
