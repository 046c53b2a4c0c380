//! The resource kinds that the embedded API server serves: the built-in kinds with their schemas and
//! strategies, discovery, OpenAPI, and tables.
//!
//! Everything here is a pure function of its arguments. Nothing reads a clock, a file, or a socket,
//! and nothing blocks.

// In layers: each module uses only those after it.

pub mod openapi;

pub mod builtin;
pub mod discovery;

pub mod go_json;
mod kind;
pub mod table;

mod schemas;

pub use kind::{KindOrigin, ResourceKind, SubresourceKind, api_version, compare_versions};
