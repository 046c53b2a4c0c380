//! The moby backend: Docker Engine API to the engine interface.
//!
//! Rooms: [`api`] speaks HTTP with the engine and turns its failures into the
//! contract's errors; [`model`] is what the engine answers, read with
//! patience; [`record`] makes the contract's records of it; [`watch`] follows
//! the engine; [`logs`], [`actions`] and [`removals`] are the other calls.
//!
//! Invariant: nothing that an engine says can fail more than the object it
//! says it of. Environment variables end in [`model`]: no record has room for
//! them, and [`record::raw`] blanks them.

mod actions;
mod api;
mod backend;
mod elements;
mod event;
mod lenient;
mod logs;
mod model;
mod name;
mod objects;
mod record;
mod removals;
mod time;
mod volume_times;
mod watch;

pub use backend::Moby;

rdd_sdk::export_backend!(Moby);
