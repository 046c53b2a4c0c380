//! Mirrors engine state as Kubernetes objects, and carries deletions and
//! actions back.
//!
//! This room joins the engine (`rdd-core`) and Kubernetes (`rdd-api`), and it
//! alone writes [`ServingSnapshot`](rdd_core::ServingSnapshot). Invariants: a
//! removal reaches the engine only for a mirror that somebody deleted and that
//! stands for what the engine has now; a sync that changes nothing writes
//! nothing; what carries neither our label nor our finalizer is left alone.

mod action_claim;
mod api;
mod app;
mod conditions;
mod controller;
mod deletion_check;
mod desired;
mod entry;
mod feed;
#[cfg(test)]
mod fixtures;
mod install;
mod installation;
mod instance;
mod jobs;
mod key;
mod lease;
mod names;
mod operations;
mod options;
mod plan;
mod state;
mod view;
mod watches;

pub use controller::run;
pub use install::{AppOptions, InstallError, apply_crds, ensure_app};
pub use instance::{InstanceId, InstanceIdError};
pub use lease::lease_name;
pub use options::{Clock, LeaseTiming, MirrorOptions, MirrorProgress, MirrorTiming};
