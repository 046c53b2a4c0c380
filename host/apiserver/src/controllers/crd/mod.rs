//! The controller of CustomResourceDefinitions: it serves them by replacing the registry,
//! reports in their status, and deletes the objects of deleted ones.

mod controller;

mod conditions;
mod finalizer;
mod name_conflicts;
mod served_versions;

pub(super) use controller::start;
