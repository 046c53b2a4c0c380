//! The list of the fields that pruning removes.

use crate::path::PathRef;

/// The maximum number of removed fields that are reported: an object can have a hundred thousand.
const MAX_REPORTED_FIELDS: usize = 200;

/// Records a removed field, up to the maximum number.
pub(crate) fn record_removed(removed: &mut Vec<String>, path: &PathRef<'_>) {
    if removed.len() < MAX_REPORTED_FIELDS {
        removed.push(path.to_string());
    }
}
