//! An embedded Kubernetes API server: one generic engine for a dozen built-in
//! kinds and for whatever CustomResourceDefinitions define.
//!
//! This room owns the meaning of requests: paths, verbs, negotiation, field
//! ownership, definitions and the registry of what is served. Objects are
//! stored by `rdd-apiserver-storage`, judged by `rdd-apiserver-schema`, merged
//! by `rdd-apiserver-fieldmanager` and shown by `rdd-apiserver-kinds`.
//!
//! Invariants: what is acknowledged is on disk; what the registry serves,
//! discovery and OpenAPI describe; an event is published after its commit and
//! in revision order; what is not there is refused and never feigned.

mod admission;
mod body;
mod builtin;
mod cause;
mod clock;
mod controller_loop;
mod crd;
mod decode;
mod discovery;
mod encode;
mod gc;
mod health;
mod large_requests;
mod limits;
mod managed;
mod meta;
mod namespaces;
mod negotiate;
mod openapi;
mod path;
mod query;
mod records;
mod registry;
mod render;
mod resource;
mod review;
mod revision;
mod scale;
mod selectors;
mod server;
mod service;
mod status;
mod strategic;
mod system_namespaces;
mod tasks;
mod user;
mod verbs;

pub use admission::{AdmissionOperation, AdmissionPolicy, AdmissionRequest};
pub use body::ResponseBody;
pub use clock::Clock;
pub use health::VERSION;
pub use rdd_apiserver_storage::HistoryLimits;
pub use server::{ApiServer, ApiServerOptions, OpenError, SetAsideError, set_aside};
pub use status::{ApiError, StatusCause};
pub use tasks::ServerTask;
pub use user::{TokenAuthenticator, UserInfo};
