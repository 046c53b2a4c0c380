//! Unknown fields, removed and reported.

use serde_json::Value;

use crate::node::Node;
use crate::object_meta;
use crate::path::Path;

/// The fields that every resource has, at the root and where one is embedded.
pub(crate) const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removed fields that are named: an object has room for a hundred thousand.
const NAMED_MAX: usize = 200;

/// Notes a field that is removed, unless enough of them are noted.
pub(crate) fn note(removed: &mut Vec<String>, path: &Path<'_>) {
    if removed.len() < NAMED_MAX {
        removed.push(path.to_string());
    }
}

/// What happens to the fields that a schema does not name.
#[derive(Clone, Copy, PartialEq)]
enum Unknown {
    Remove,
    Keep,
}

/// Removes unknown fields from an object; returns their paths, sorted.
pub(crate) fn prune(root: &Node, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_value(
        Some(root),
        true,
        policy(Some(root)),
        object,
        &Path::Root(""),
        &mut removed,
    );
    removed.sort();
    removed
}

/// Removes unknown fields from a value below the root.
pub(crate) fn prune_embedded(node: &Node, value: &mut Value) {
    prune_value(
        Some(node),
        node.embedded,
        policy(Some(node)),
        value,
        &Path::Root(""),
        &mut Vec::new(),
    );
}

fn policy(node: Option<&Node>) -> Unknown {
    if node.is_some_and(|node| node.preserve_unknown) {
        Unknown::Keep
    } else {
        Unknown::Remove
    }
}

fn prune_value(
    node: Option<&Node>,
    resource: bool,
    unknown: Unknown,
    value: &mut Value,
    path: &Path<'_>,
    removed: &mut Vec<String>,
) {
    let embedded = |node: Option<&Node>| node.is_some_and(|node| node.embedded);
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let root = matches!(path, Path::Root(_));
            let path = &path.field(name);
            if resource && META_FIELDS.contains(&name.as_str()) {
                if name == "metadata" && !root {
                    object_meta::prune(value, path, removed);
                }
                return true;
            }
            let named = node.and_then(|node| node.properties.get(name));
            let child = named.or_else(|| node.and_then(|node| node.additional.schema()));
            let declared = named.is_some() || node.is_some_and(|node| node.additional.is_set());
            if declared {
                prune_value(child, embedded(child), policy(child), value, path, removed);
            } else if unknown == Unknown::Remove {
                note(removed, path);
            }
            declared || unknown == Unknown::Keep
        }),
        Value::Array(items) => {
            let item = node.and_then(|node| node.items.as_deref());
            if item.is_none() && unknown == Unknown::Keep {
                return;
            }
            // A list that keeps the unknown hands that down to its items.
            let unknown = if unknown == Unknown::Keep {
                unknown
            } else {
                policy(item)
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
