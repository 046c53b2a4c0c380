//! The life cycle of namespaces: a terminating namespace accepts no new
//! objects, its objects are deleted, and it is deleted after the last of them.

mod controller;

mod conditions;
mod content;

pub(super) use controller::start;

/// The finalizer that keeps a namespace until it is empty.
const FINALIZER: &str = "kubernetes";
