//! Unknown fields, removed and reported.

use serde_json::Value;

use crate::node::SchemaNode;
use crate::object_meta;
use crate::path::PathRef;

/// The fields that every resource has, at the root and where one is embedded.
pub(crate) const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removed fields that are named: an object has room for a hundred thousand.
const MAX_REPORTED_FIELDS: usize = 200;

/// Notes a field that is removed, unless enough of them are noted.
pub(crate) fn record_removed(removed: &mut Vec<String>, path: &PathRef<'_>) {
    if removed.len() < MAX_REPORTED_FIELDS {
        removed.push(path.to_string());
    }
}

/// What happens to the fields that a schema does not name.
#[derive(Clone, Copy, PartialEq)]
enum UnknownFieldPolicy {
    Prune,
    Preserve,
}

/// Removes unknown fields from an object; returns their paths, sorted.
pub(crate) fn prune(root: &SchemaNode, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_value(
        Some(root),
        true,
        unknown_field_policy(Some(root)),
        object,
        &PathRef::Root(""),
        &mut removed,
    );
    removed.sort();
    removed
}

/// Removes unknown fields from a value below the root.
pub(crate) fn prune_default(node: &SchemaNode, value: &mut Value) {
    prune_value(
        Some(node),
        node.embedded_resource,
        unknown_field_policy(Some(node)),
        value,
        &PathRef::Root(""),
        &mut Vec::new(),
    );
}

fn unknown_field_policy(node: Option<&SchemaNode>) -> UnknownFieldPolicy {
    if node.is_some_and(|node| node.preserve_unknown_fields) {
        UnknownFieldPolicy::Preserve
    } else {
        UnknownFieldPolicy::Prune
    }
}

fn prune_value(
    node: Option<&SchemaNode>,
    resource: bool,
    unknown: UnknownFieldPolicy,
    value: &mut Value,
    path: &PathRef<'_>,
    removed: &mut Vec<String>,
) {
    let embedded = |node: Option<&SchemaNode>| node.is_some_and(|node| node.embedded_resource);
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let root = matches!(path, PathRef::Root(_));
            let path = &path.field(name);
            if resource && META_FIELDS.contains(&name.as_str()) {
                if name == "metadata" && !root {
                    object_meta::prune(value, path, removed);
                }
                return true;
            }
            let named = node.and_then(|node| node.properties.get(name));
            let child = named.or_else(|| node.and_then(|node| node.additional_properties.schema()));
            let declared =
                named.is_some() || node.is_some_and(|node| node.additional_properties.is_set());
            if declared {
                prune_value(
                    child,
                    embedded(child),
                    unknown_field_policy(child),
                    value,
                    path,
                    removed,
                );
            } else if unknown == UnknownFieldPolicy::Prune {
                record_removed(removed, path);
            }
            declared || unknown == UnknownFieldPolicy::Preserve
        }),
        Value::Array(items) => {
            let item = node.and_then(|node| node.items.as_deref());
            if item.is_none() && unknown == UnknownFieldPolicy::Preserve {
                return;
            }
            // A list that keeps the unknown hands that down to its items.
            let unknown = if unknown == UnknownFieldPolicy::Preserve {
                unknown
            } else {
                unknown_field_policy(item)
            };
            for (index, value) in items.iter_mut().enumerate() {
                prune_value(
                    item,
                    embedded(item),
                    unknown,
                    value,
                    &path.index(index),
                    removed,
                );
            }
        }
        _ => {}
    }
}
