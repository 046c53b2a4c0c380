//! An embedded Kubernetes API server, as a [`tower::Service`] over a store in
//! one SQLite file.
//!
//! It serves a dozen built-in kinds (namespaces, config maps, secrets, leases,
//! events, …) and all kinds that CustomResourceDefinitions define, with the
//! protocol of kube-apiserver: get, list with paging, watch, create, update,
//! patch, server-side apply, delete, subresources, tables, discovery, and
//! OpenAPI. `kubectl` and kube work with it unchanged.
//! [`ApiServer::open`] has an example. The path `/backup` is its own: it responds
//! with a file from which [`restore`] makes a database.
//!
//! The embedder authenticates each request and inserts a [`UserInfo`] as an
//! extension. Roles and bindings decide what the user may do; members of
//! `system:masters` may do everything. An [`AdmissionPolicy`] of the embedder
//! restricts writes, and so do the ValidatingAdmissionPolicies of clients.
//!
//! This crate owns the meaning of requests: paths, verbs, negotiation,
//! definitions, controllers, and the registry of served resources.
//! `rdd-apiserver-storage` stores objects, `rdd-apiserver-schema` validates
//! custom objects, `rdd-apiserver-fieldmanager` implements server-side apply,
//! and `rdd-apiserver-kinds` describes the built-in kinds.
//!
//! # Invariants
//!
//! - An acknowledged write is on disk.
//! - Discovery and OpenAPI describe exactly what the registry serves.
//! - An event is published after its commit, in the order of revisions.
//! - An unsupported request is refused; the server never pretends to support
//!   it.

// In layers: each module uses only those after it.

mod service;

mod server;

mod controllers;

mod builtin_resources;
mod verbs;

mod authorization;

mod request_context;

mod backup;
mod discovery;
mod health;
mod impersonation;
mod openapi;
mod review;

mod server_state;

mod server_options;

mod audit;
mod large_requests;
mod metrics;
mod open_error;
mod policies;
mod tasks;

mod registry;

mod request_verb;
mod resource;
mod strategy;

mod definition;
mod rbac;
mod records;
mod scale_paths;
mod versioned_types;

mod admission;
mod cached_response;
mod compression;
mod decode;
mod render;
mod request_span;
mod unread_body;

mod encode;
mod meta;
mod negotiate;
mod protobuf;
mod revision;

mod path;
mod query;
mod selectors;
mod status;
mod status_details;
mod warnings;

mod blocking_work;
mod body;
mod cause;
mod json;
mod limits;
mod timestamp;
mod user;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use admission::{AdmissionError, AdmissionOperation, AdmissionPolicy, AdmissionRequest};
pub use audit::{AuditLevel, AuditOptions, ExternalRecord, ExternalRequest};
pub use body::ResponseBody;
pub use health::VERSION;
pub use metrics::{ApiMetrics, RequestLabels};
pub use open_error::OpenError;
pub use rbac::{AccessOutcome, AccessRequest, ResourceAccessRequest};
pub use rdd_apiserver_storage::{
    BackupError, BackupSummary, Clock, HistoryLimits, RestoreOutcome, SetAsideError, StoreMetrics,
    SystemClock,
};
pub use selectors::{SelectorError, label::LabelSelector};
pub use server::{ApiServer, back_up, check_backup, restore, set_aside};
pub use server_options::ApiServerOptions;
pub use status::{ApiError, StatusCause};
pub use tasks::ServerTask;
pub use user::{TokenAuthenticator, TokenReviewError, UserInfo};
