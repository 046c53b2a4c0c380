//! The passage from client-side to server-side apply: kubectl's last-applied annotation.

use serde_json::{Map, Value};

use crate::apply::FieldConflict;
use crate::compare::ObjectComparison;
use crate::managed_fields::take_managed_fields;
use crate::request::TrackingRequest;
use crate::set::FieldSet;
use crate::track::specified_fields;

/// The manager whose applies take the annotation into account and keep it in step: kubectl's own.
pub(crate) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The most that all annotations of an object may take, names and values together, in bytes. Kubernetes' limit.
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// The annotation of an object, if it is there and not empty.
fn annotation(object: &Value) -> Option<&str> {
    let annotations = object.get("metadata")?.get("annotations")?;
    annotations
        .get(ANNOTATION)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The conflicts that stay when kubectl may take over what it applied client-side before and what is still as it was then.
/// Returns all of them for any other manager.
pub(crate) fn unresolved_conflicts(
    conflicts: Vec<FieldConflict>,
    live: Option<&Value>,
    request: &TrackingRequest<'_>,
) -> Vec<FieldConflict> {
    if request.manager != MANAGER {
        return conflicts;
    }
    let Some(own) = live.and_then(|live| unchanged_fields(live, request)) else {
        return conflicts;
    };
    conflicts
        .into_iter()
        .filter(|conflict| !own.contains(&conflict.field))
        .collect()
}

fn unchanged_fields(live: &Value, request: &TrackingRequest<'_>) -> Option<FieldSet> {
    // An annotation that cannot be read gives no right to anything.
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    // Nor does one of another version, whose fields may mean something else.
    if last.get("apiVersion").and_then(Value::as_str) != Some(request.api_version) {
        return None;
    }
    let root = &request.object_type.root;
    let changes = ObjectComparison::between(root, &last, live);
    Some(
        specified_fields(root, &last)
            .difference(&changes.modified)
            .difference(&changes.added)
            .difference(&changes.removed),
    )
}

/// Writes what kubectl has applied into the annotation if the object has one, so that a later client-side apply starts from
/// it. An annotation that would be too long goes.
pub(crate) fn update_annotation(object: &mut Value, applied: &Value, request: &TrackingRequest<'_>) {
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
    // A trailing line break, as kubectl writes it.
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
