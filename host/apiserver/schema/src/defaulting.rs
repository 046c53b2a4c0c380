//! Defaults, filled in on write and on read.

use serde_json::Value;

use crate::node::SchemaNode;

/// Fills in what is missing in `object`, then drops the nulls that the schema neither allows nor has a default for.
pub(crate) fn apply(node: &SchemaNode, object: &mut Value) {
    prune_nulls(node, object);
    fill_defaults(node, object, &mut DefaultsBudget(MAX_ADDED_VALUES));
}

fn is_non_nullable_null(value: &Value, node: &SchemaNode) -> bool {
    value.is_null() && !node.nullable
}

/// What defaults may add to one object, in values, with 32 bytes of text for
/// one more: a small object could otherwise grow by a large default for each
/// of its items. An object that used this up is beyond what is stored.
const MAX_ADDED_VALUES: usize = 200_000;

/// What is left of [`ALLOWANCE`].
struct DefaultsBudget(usize);

impl DefaultsBudget {
    /// A copy of a default, while there is room for it.
    fn clone_default(&mut self, default: &Value) -> Option<Value> {
        if self.0 == 0 {
            return None;
        }
        self.0 = self.0.saturating_sub(value_count(default));
        Some(default.clone())
    }
}

fn value_count(value: &Value) -> usize {
    /// Bytes of text that weigh as much as a value.
    const TEXT: usize = 32;
    1 + match value {
        Value::String(text) => text.len() / TEXT,
        Value::Array(items) => items.iter().map(value_count).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| name.len() / TEXT + value_count(value))
            .sum(),
        _ => 0,
    }
}

fn fill_defaults(node: &SchemaNode, value: &mut Value, allowance: &mut DefaultsBudget) {
    match value {
        Value::Object(map) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|value| is_non_nullable_null(value, property))
                    && let Some(default) = allowance.clone_default(default)
                {
                    map.insert(name.clone(), default);
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = node.properties.get(name) {
                    fill_defaults(property, value, allowance);
                } else if let Some(additional) = node.additional_properties.schema() {
                    fill_element(additional, value, allowance);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                for value in items {
                    fill_element(item, value, allowance);
                }
            }
        }
        _ => {}
    }
}

fn fill_element(node: &SchemaNode, value: &mut Value, allowance: &mut DefaultsBudget) {
    if let Some(default) = node
        .default
        .as_ref()
        .filter(|_| is_non_nullable_null(value, node))
        && let Some(default) = allowance.clone_default(default)
    {
        *value = default;
    }
    fill_defaults(node, value, allowance);
}

fn prune_nulls(node: &SchemaNode, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                let known = node
                    .properties
                    .get(name)
                    .or_else(|| node.additional_properties.schema());
                let Some(known) = known else { return true };
                if is_non_nullable_null(value, known) && known.default.is_none() {
                    return false;
                }
                prune_nulls(known, value);
                true
            });
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                items.iter_mut().for_each(|value| prune_nulls(item, value));
            }
        }
        _ => {}
    }
}
