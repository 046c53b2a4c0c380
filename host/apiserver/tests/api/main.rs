//! The server driven in process, request by request, as clients use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that cannot continue must fail"
)]

mod client;

mod admission;
mod apply;
mod audit;
mod authorization;
mod backup;
mod crud;
mod default_roles;
mod definitions;
mod deletion;
mod discovery;
mod encodings;
mod escalation;
mod garbage;
mod impersonation;
mod limits;
mod lists;
mod namespaces;
mod policies;
mod protobuf;
mod protocol;
mod reflector;
mod reviews;
mod upstream;
mod watches;
mod wording;
