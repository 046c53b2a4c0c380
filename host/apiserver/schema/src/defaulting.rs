//! Defaults, filled in on write and on read.

use serde_json::Value;

use crate::node::Node;

/// Fills in what is missing in `object`, then drops the nulls that the schema neither allows nor has a default for.
pub(crate) fn apply(node: &Node, object: &mut Value) {
    drop_nulls(node, object);
    fill(node, object);
}

fn refused_null(value: &Value, node: &Node) -> bool {
    value.is_null() && !node.nullable
}

fn fill(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|value| refused_null(value, property))
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = node.properties.get(name) {
                    fill(property, value);
                } else if let Some(additional) = node.additional.schema() {
                    fill_entry(additional, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                for value in items {
                    fill_entry(item, value);
                }
            }
        }
        _ => {}
    }
}

fn fill_entry(node: &Node, value: &mut Value) {
    if let Some(default) = node.default.as_ref().filter(|_| refused_null(value, node)) {
        *value = default.clone();
    }
    fill(node, value);
}

fn drop_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                let known = node
                    .properties
                    .get(name)
                    .or_else(|| node.additional.schema());
                let Some(known) = known else { return true };
                if refused_null(value, known) && known.default.is_none() {
                    return false;
                }
                drop_nulls(known, value);
                true
            });
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                items.iter_mut().for_each(|value| drop_nulls(item, value));
            }
        }
        _ => {}
    }
}
