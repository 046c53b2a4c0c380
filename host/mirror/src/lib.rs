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

mod action_claim;
mod actions;
mod api_watcher;
mod app;
mod conditions;
mod controller;
mod deletion_check;
mod desired_state;
mod engine_watcher;
mod entry;
#[cfg(test)]
mod fixtures;
mod install;
mod install_policies;
mod install_watcher;
mod instance;
mod key;
mod lease;
mod metrics;
mod mirror_names;
mod mirror_resource;
mod mirror_writer;
mod options;
mod plan;
mod state;
mod view;

pub use controller::run;
pub use install::{AppOptions, InstallError, apply_crds, ensure_app};
pub use install_policies::{ApplyPolicyError, apply_policies};
pub use instance::{InstanceId, InstanceIdError};
pub use lease::lease_name;
pub use metrics::MirrorMetrics;
pub use options::{LeaseTiming, MirrorOptions, MirrorProgress, MirrorTiming, WallClock};
