//! What the author of an engine backend uses.
//!
//! A backend is a type that implements [`Backend`]; [`export_backend!`] turns
//! its crate into a plugin. The backend speaks to its engine through [`Host`],
//! to which [`http`] adds an HTTP/1.1 client and [`demux`] the framing of
//! Docker's logs.
//!
//! Invariant: nothing here, and nothing in a backend, knows in which form the
//! plugin was built. Whatever touches the component model lives in
//! `component` and [`bindings`], whatever touches a runtime in `native`.
//!
//! A backend is single-threaded in every form: its futures need not be `Send`.

// The generated code names this crate by its full name, also from within.
extern crate self as rdd_sdk;

mod backend;
pub mod bindings;
#[cfg(target_family = "wasm")]
pub mod component;
pub mod demux;
mod error;
mod host;
pub mod http;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub mod native;
mod sink;
mod time;
pub mod types;

pub use backend::Backend;
pub use host::{BoxConnection, Connection, Host, HostApi};
pub use sink::{LogResponder, LogSink, Responder, Sink, WatchResponder, WatchSink};
#[doc(hidden)]
pub use wit_bindgen;
