//! Server-side apply, `metadata.managedFields` for every other write, JSON patches, and merge
//! patches.
//!
//! Pure functions from JSON to JSON, without a clock and without I/O. The crate keeps one
//! invariant: after every write, each owned field is owned by exactly those managers whose last
//! write gave it its current value.
//!
//! Written by hand because no crate implements the server's side: `kube` sends apply patches but
//! cannot merge them, and `json-patch`, which is used here, covers the patch formats only. Names
//! and messages follow upstream's `structured-merge-diff` and apimachinery's field manager.

// In layers: each module uses only those after it.

mod apply;

mod update;

mod last_applied;
mod ownership;

mod apply_error;
mod request;

mod managed_fields;

mod compare;
mod fields_v1;
mod merge;
mod reconcile;
mod specified_fields;
mod validate;

mod field_set;
mod types;

mod path;

mod go_value;
mod patch;
mod value;

pub use apply::{apply, apply_if_changed};
pub use apply_error::{ApplyError, FieldConflict};
pub use field_set::FieldSet;
pub use fields_v1::FieldsV1Error;
pub use go_value::GoValue;
pub use managed_fields::{
    ManagedFieldsError, ManagedFieldsOperation, ManagerId, keep_timestamps_if_unchanged, managers,
    strip_managed_fields,
};
pub use merge::MergeError;
pub use patch::{PatchError, PatchOperationError, json_patch, merge_patch};
pub use path::{FieldPath, PathElement, reset_fields};
pub use request::TrackingRequest;
pub use types::ObjectType;
pub use update::{UpdateError, update};
