//! Ratcheting: errors about values that an update does not change are dropped.

use serde_json::Value;

use crate::node::{ListType, SchemaNode};

/// Returns the old value that an item of a list correlates with: the item with the same key in a map list, or with the
/// same index in a list without a list type.
pub(crate) fn find_correlated<'a>(
    node: &SchemaNode,
    old: &'a [Value],
    index: usize,
    new: &Value,
) -> Option<&'a Value> {
    match &node.list_type {
        ListType::Untyped => old.get(index),
        ListType::Atomic | ListType::Set => None,
        ListType::Map(keys) => old.iter().find(|old| has_same_key(keys, old, new)),
    }
}

/// Whether a value is unchanged, ignoring the order of map lists.
pub(crate) fn is_unchanged(node: &SchemaNode, old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let Some(item) = node.items.as_deref() else {
                return false;
            };
            let correlates = matches!(node.list_type, ListType::Untyped | ListType::Map(_));
            correlates
                && old.len() == new.len()
                && new.iter().enumerate().all(|(index, new)| {
                    find_correlated(node, old, index, new)
                        .is_some_and(|old| is_unchanged(item, old, new))
                })
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && new.iter().all(|(name, new)| {
                    let child = node
                        .properties
                        .get(name)
                        .or_else(|| node.additional_properties.schema());
                    match (old.get(name), child) {
                        (Some(old), Some(child)) => is_unchanged(child, old, new),
                        (Some(old), None) => old == new,
                        (None, _) => false,
                    }
                })
        }
        _ => false,
    }
}

/// Whether two items of a map list have the same key.
fn has_same_key(keys: &[String], left: &Value, right: &Value) -> bool {
    left.is_object() && right.is_object() && keys.iter().all(|key| left.get(key) == right.get(key))
}
