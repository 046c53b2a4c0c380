//! The passthrough: WebSocket endpoints at `/passthrough/<controller>/<endpoint>/…`.
//!
//! This crate validates stream requests (every error is returned before the
//! upgrade, in a fixed order), and runs the sessions that forward an engine's
//! log to a client, or connect a client to a process in a container. It uses the
//! engine through [`rdd_core`] only, and reads its state as a snapshot: a request
//! never waits for a sync or a reconnect.
//!
//! Invariants:
//! - A session buffers at most [`limits::MAX_SESSION_BUFFER`] bytes, whatever
//!   its peer does; that of a process also a few messages of its client, of at
//!   most [`limits::MAX_EXEC_MESSAGE`] bytes.
//! - When a session ends for any reason, its stream from the engine is closed
//!   within a second.
//! - Bytes are forwarded unchanged.

// In layers: each module uses only those after it.

mod service;

mod exec;
mod log_session;
mod mux;

mod session;

mod open_log;

mod container_target;

mod routes;
mod stream_limiter;
mod upgrade_request;

mod request_error;

mod exec_query;
mod query;

mod log_format;

mod log_reader;

mod log_hub;

mod entries;

mod peer_connection;

mod delivery;
mod redaction;

#[cfg(test)]
mod message_schemas;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub mod limits;

pub use redaction::redacted_uri;
pub use routes::{access_scope, addressed_container, endpoints};
pub use service::{Passthrough, PassthroughOptions};
