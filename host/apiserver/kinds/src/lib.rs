//! What the embedded Kubernetes API server knows of each kind, and how kinds
//! and objects are shown: the built-in kinds with their schemas and rules,
//! discovery, OpenAPI and tables.
//!
//! Invariant: everything here is a pure function of its arguments. Nothing
//! reads a clock, a file or a socket, and nothing waits.

pub mod builtin;
pub mod discovery;
mod kind;
pub mod openapi;
mod schemas;
pub mod table;

pub use kind::{KindOrigin, ResourceKind, SubresourceKind, api_version, compare_versions};
