//! The backend for Docker Engine, and for other engines with its API.
//!
//! - `calls` implements the contract's calls by means of `watch`, `logs`,
//!   `entries`, `actions`, `creations`, `exec`, `inspection`, `removals`, and
//!   `transfers`.
//! - `backend` is what they all use: the connection to the engine, and the state.
//! - `client` sends requests to the engine and converts its failures to the
//!   contract's errors.
//! - `model` has the engine's documents, parsed leniently; `record` converts
//!   them to the contract's records.
//!
//! Invariants: nothing that an engine returns about an object affects other
//! objects. Environment variables are never in a record: `model` has no field
//! for them, and `record::redacted_json` blanks them.

// In layers: each module uses only those after it.

mod calls;

mod watch;

mod entries;
mod logs;

mod actions;
mod creations;
mod exec;
mod inspection;
mod removals;
mod transfers;

mod log_source;
mod registry_context;

mod backend;

mod image_reference;
mod objects;
mod stale_set;

mod client;
mod event;
mod record;

mod element_reader;
mod model;
mod removal_names;
mod volume_times;

mod lenient;
mod time;
mod url;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use backend::MobyBackend;

rdd_sdk::export_backend!(MobyBackend);
