//! A backend for the toy engine, whose protocol is simple enough to be written
//! here by hand.
//!
//! - `backend` has the calls of the contract.
//! - `objects` and `entries` convert what the engine sends.
//! - `connection` and `request` are the engine's protocol. To write a backend for
//!   another engine, replace them first; for one that uses HTTP, the SDK has a
//!   client.

mod backend;

mod entries;

mod connection;

mod objects;

mod request;

use backend::ToyBackend;

rdd_sdk::export_backend!(ToyBackend);
