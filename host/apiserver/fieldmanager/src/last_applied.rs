//! Migration from client-side to server-side apply: kubectl's last-applied annotation.

use serde_json::{Map, Value};

use crate::apply_error::FieldConflict;
use crate::compare::ObjectComparison;
use crate::field_set::FieldSet;
use crate::managed_fields::take_managed_fields;
use crate::request::TrackingRequest;
use crate::specified_fields::specified_fields;

/// The manager whose applies read and update the annotation: kubectl's default.
pub(crate) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The maximum size of all annotations of an object, keys and values, in bytes. Kubernetes' limit.
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// Returns the annotation of an object, if it is set and not empty.
fn annotation(object: &Value) -> Option<&str> {
    let annotations = object.get("metadata")?.get("annotations")?;
    annotations
        .get(ANNOTATION)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Returns the conflicts that remain after kubectl has taken over the fields that it applied
/// client-side and that have not changed since. For any other manager, returns all conflicts.
pub(crate) fn unresolved_conflicts(
    conflicts: Vec<FieldConflict>,
    live: Option<&Value>,
    request: &TrackingRequest<'_>,
) -> Vec<FieldConflict> {
    if request.manager != MANAGER {
        return conflicts;
    }
    let Some(unchanged) = live.and_then(|live| unchanged_fields(live, request)) else {
        return conflicts;
    };
    conflicts
        .into_iter()
        .filter(|conflict| !unchanged.contains(&conflict.field))
        .collect()
}

/// Returns the fields of the annotation that still have the same value in the live object.
fn unchanged_fields(live: &Value, request: &TrackingRequest<'_>) -> Option<FieldSet> {
    // An annotation that cannot be parsed resolves no conflict.
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    // Neither does one of another version, whose fields may have another meaning.
    if last.get("apiVersion").and_then(Value::as_str) != Some(request.api_version) {
        return None;
    }
    let root = &request.object_type.root;
    let comparison = ObjectComparison::between(root, &last, live);
    Some(
        specified_fields(root, &last)
            .difference(&comparison.modified)
            .difference(&comparison.added)
            .difference(&comparison.removed),
    )
}

/// Writes the applied configuration to the annotation if the object has one, so that a later
/// client-side apply starts from it. Removes the annotation if it would become too long.
pub(crate) fn update_annotation(
    object: &mut Value,
    applied: &Value,
    request: &TrackingRequest<'_>,
) {
    if request.manager != MANAGER || annotation(object).is_none() {
        return;
    }
    let mut last = applied.clone();
    take_managed_fields(&mut last);
    if let Some(Value::Object(metadata)) = last.get_mut("metadata")
        && let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
    {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    // kubectl writes a trailing newline.
    let text = format!("{last}\n");
    let Some(Value::Object(annotations)) = object
        .get_mut("metadata")
        .and_then(|m| m.get_mut("annotations"))
    else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), Value::from(text));
    if annotations_bytes(annotations) > MAX_ANNOTATIONS_BYTES {
        annotations.remove(ANNOTATION);
    }
}

fn annotations_bytes(annotations: &Map<String, Value>) -> usize {
    annotations
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum()
}
