//! Pruning: removes unknown fields and reports their paths.

use serde_json::Value;

use crate::node::SchemaNode;
use crate::object_meta;
use crate::path::PathRef;
use crate::removed_fields::record_removed;

/// The fields that every resource has, both at the root and embedded.
pub(crate) const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What to do with fields that a schema does not specify.
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

/// Removes unknown fields from the default of a schema.
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
    is_resource: bool,
    unknown: UnknownFieldPolicy,
    value: &mut Value,
    path: &PathRef<'_>,
    removed: &mut Vec<String>,
) {
    let is_embedded = |node: Option<&SchemaNode>| node.is_some_and(|node| node.embedded_resource);
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let is_root = matches!(path, PathRef::Root(_));
            let path = &path.field(name);
            if is_resource && META_FIELDS.contains(&name.as_str()) {
                if name == "metadata" && !is_root {
                    object_meta::prune(value, path, removed);
                }
                return true;
            }
            let property = node.and_then(|node| node.properties.get(name));
            let child =
                property.or_else(|| node.and_then(|node| node.additional_properties.schema()));
            let is_declared =
                property.is_some() || node.is_some_and(|node| node.additional_properties.is_set());
            if is_declared {
                prune_value(
                    child,
                    is_embedded(child),
                    unknown_field_policy(child),
                    value,
                    path,
                    removed,
                );
            } else if unknown == UnknownFieldPolicy::Prune {
                record_removed(removed, path);
            }
            is_declared || unknown == UnknownFieldPolicy::Preserve
        }),
        Value::Array(items) => {
            let item = node.and_then(|node| node.items.as_deref());
            if item.is_none() && unknown == UnknownFieldPolicy::Preserve {
                return;
            }
            // Items inherit the policy of a list that preserves unknown fields.
            let unknown = if unknown == UnknownFieldPolicy::Preserve {
                unknown
            } else {
                unknown_field_policy(item)
            };
            for (index, value) in items.iter_mut().enumerate() {
                prune_value(
                    item,
                    is_embedded(item),
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
