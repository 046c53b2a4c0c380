//! CustomResourceDefinitions: validated when they are written, then served by
//! one controller, which swaps the registry and reports in the status.

mod controller;

mod conditions;
mod finalizer;
mod name_conflicts;
mod served_versions;

pub(super) use controller::start;
