//! The backend for Docker Engine, and for other engines with its API.
//!
//! - `backend` implements the contract's calls by means of `watch`, `logs`,
//!   `entries`, `actions`, `creations`, `exec`, `removals`, `transfers`, and
//!   `objects`.
//! - `client` sends requests to the engine and converts its failures to the
//!   contract's errors.
//! - `model` has the engine's documents, parsed leniently; `record` converts
//!   them to the contract's records.
//!
//! Invariants: nothing that an engine returns about an object affects other
//! objects. Environment variables are never in a record: `model` has no field
//! for them, and `record::redacted_json` blanks them.

mod backend;

mod watch;

mod entries;
mod logs;

mod actions;
mod creations;
mod exec;
mod image_reference;
mod registry_context;
mod removals;
mod transfers;

mod objects;

mod event;
mod log_source;
mod model;
mod record;
mod volume_times;

mod client;
mod element_reader;
mod lenient;
mod time;
mod url;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use backend::MobyBackend;

rdd_sdk::export_backend!(MobyBackend);
