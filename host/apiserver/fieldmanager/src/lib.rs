//! Who owns which field: server-side apply, the managedFields of every other write, JSON patch and merge patch.
//!
//! Pure functions from JSON to JSON; no clock, no input or output. The room keeps one invariant: after every write each
//! field that somebody owns is owned by those, and only those, whose last write gave it the value that it has.

mod apply;
mod compare;
mod fields_v1;
mod last_applied;
mod managed_fields;
mod merge;
mod patch;
mod path;
mod request;
mod set;
mod track;
mod types;
mod update;
mod value;

pub use apply::{ApplyError, FieldConflict, apply, apply_if_changed};
pub use fields_v1::FieldsV1Error;
pub use managed_fields::{
    ManagerId, ManagedFieldsError, ManagedFieldsOperation, keep_timestamps_if_unchanged,
    managers, strip_managed_fields,
};
pub use patch::{PatchError, json_patch, merge_patch};
pub use path::{FieldPath, PathElement, reset_fields};
pub use request::TrackingRequest;
pub use set::FieldSet;
pub use types::ObjectType;
pub use update::{UpdateError, update};
