//! The mirror controller: mirrors the state of a container engine as Kubernetes
//! objects, and carries deletions and actions back to the engine.
//!
//! This crate joins the engine (`rdd-core`) and Kubernetes (`rdd-api`), and is
//! the only writer of [`ServingSnapshot`](rdd_core::ServingSnapshot).
//! Invariants:
//!
//! - A removal reaches the engine only for a mirror that a client deleted and
//!   that represents what the engine has now.
//! - A sync that changes nothing writes nothing.
//! - Objects that have neither our label nor our finalizer are left alone.

// In layers: each module uses only those after it.

mod controller;

mod action_claim;
mod api_watcher;
mod app;
mod engine_watcher;
mod install_watcher;

mod state;

mod mirror_writer;
mod view;

mod plan;

mod actions;

mod deletion_check;

mod mirror_resource;

mod entry;

mod desired_state;

mod conditions;

mod lease;

mod install;
mod install_policies;

mod options;

mod metrics;

mod engine_event;

mod instance;
mod key;
mod mirror_names;

#[cfg(test)]
mod fixtures;

pub use controller::run;
pub use install::{AppOptions, InstallError, apply_crds, ensure_app};
pub use install_policies::{ApplyPolicyError, apply_policies};
pub use instance::{InstanceId, InstanceIdError};
pub use lease::lease_name;
pub use metrics::MirrorMetrics;
pub use options::{LeaseTiming, MirrorOptions, MirrorProgress, MirrorTiming, WallClock};
