//! Garbage collection by owner references, as kube-controller-manager does it:
//! what is owned goes when its last owner has gone (background), an owner
//! waits for what it owns (foreground), or what it owns is freed (orphan).
//!
//! Only what names an owner is ever touched, and only when that owner is
//! known to be gone: an owner of a kind that is not served here counts as
//! there. Deletions pass the policies of admission like everybody's.

mod collect;
pub(crate) mod controller;
mod graph;
mod owner;
