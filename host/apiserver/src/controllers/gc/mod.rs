//! Garbage collection by owner references, as in kube-controller-manager: an
//! object is deleted when its last owner is gone (background), an owner waits
//! for its dependents (foreground), or its dependents lose the reference
//! (orphan).
//!
//! Only objects with owner references are changed, and only if an owner is
//! known to be gone: an owner of a kind that is not served counts as existing.
//! The admission policies apply to deletions by the collector as well.

mod controller;

mod collect;
mod graph;
mod owner;

pub(super) use controller::start;
