//! The controller of namespaces: the objects in a terminating one are deleted, and the
//! namespace after the last of them.

mod controller;

mod conditions;
mod content;

pub(super) use controller::start;

/// The finalizer that keeps a namespace until it is empty.
const FINALIZER: &str = "kubernetes";
