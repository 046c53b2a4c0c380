//! The WebSocket mux: `/passthrough/<controller>/<endpoint>/…`.
//!
//! Owns the checks of a stream's request (every refusal is answered before
//! the upgrade, in a fixed order), the sessions that carry bytes from an
//! engine to a viewer, and their end. It sees the engine through
//! [`rdd_core`] alone and reads its state as a snapshot: a request never
//! waits for a sync or a reconnect.
//!
//! Invariants: a session buffers at most [`limits::SESSION_BUFFER`] bytes,
//! whatever its peer does; when a session ends for any reason, the engine's
//! side of it ends within a second; bytes are passed as they are.

mod delivery;
mod endpoint;
pub mod limits;
mod logs;
mod params;
mod peer;
mod places;
mod refusal;
mod service;
mod session;
mod upgrade;

pub use endpoint::endpoints;
pub use service::{Passthrough, PassthroughOptions};
