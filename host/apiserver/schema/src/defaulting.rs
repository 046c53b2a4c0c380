//! Defaulting: fills in defaults on write and on read.

use serde_json::Value;

use crate::node::SchemaNode;

/// Removes nulls that the schema neither allows nor has a default for, then fills in the defaults of missing fields.
pub(crate) fn apply(node: &SchemaNode, object: &mut Value) {
    prune_nulls(node, object);
    fill(node, object);
}

/// Fills in the defaults of missing fields, and of nulls that the schema does not allow.
pub(crate) fn fill(node: &SchemaNode, object: &mut Value) {
    fill_defaults(node, object, &mut DefaultsBudget(MAX_ADDED_VALUES));
}

fn is_non_nullable_null(value: &Value, node: &SchemaNode) -> bool {
    value.is_null() && !node.nullable
}

/// The maximum number of values that defaults add to one object, where 32 bytes of text count as one more value.
/// Otherwise a small object could grow by a large default for each of its items. An object that reaches the limit is
/// too large to be stored.
const MAX_ADDED_VALUES: usize = 200_000;

/// The rest of [`MAX_ADDED_VALUES`].
struct DefaultsBudget(usize);

impl DefaultsBudget {
    /// Clones a default; returns `None` if the budget is used up.
    fn clone_default(&mut self, default: &Value) -> Option<Value> {
        if self.0 == 0 {
            return None;
        }
        self.0 = self.0.saturating_sub(value_count(default));
        Some(default.clone())
    }
}

/// Returns the number of values that a default counts as.
fn value_count(value: &Value) -> usize {
    /// Bytes of text that count as one value.
    const BYTES_PER_VALUE: usize = 32;
    1 + match value {
        Value::String(text) => text.len() / BYTES_PER_VALUE,
        Value::Array(items) => items.iter().map(value_count).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| name.len() / BYTES_PER_VALUE + value_count(value))
            .sum(),
        _ => 0,
    }
}

fn fill_defaults(node: &SchemaNode, value: &mut Value, budget: &mut DefaultsBudget) {
    match value {
        Value::Object(map) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|value| is_non_nullable_null(value, property))
                    && let Some(default) = budget.clone_default(default)
                {
                    map.insert(name.clone(), default);
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = node.properties.get(name) {
                    fill_defaults(property, value, budget);
                } else if let Some(additional) = node.additional_properties.schema() {
                    fill_element(additional, value, budget);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                for value in items {
                    fill_element(item, value, budget);
                }
            }
        }
        _ => {}
    }
}

/// Fills in defaults for an item of a list or a value of a map, which exists but may be null.
fn fill_element(node: &SchemaNode, value: &mut Value, budget: &mut DefaultsBudget) {
    if let Some(default) = node
        .default
        .as_ref()
        .filter(|_| is_non_nullable_null(value, node))
        && let Some(default) = budget.clone_default(default)
    {
        *value = default;
    }
    fill_defaults(node, value, budget);
}

fn prune_nulls(node: &SchemaNode, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                let child = node
                    .properties
                    .get(name)
                    .or_else(|| node.additional_properties.schema());
                let Some(child) = child else { return true };
                if is_non_nullable_null(value, child) && child.default.is_none() {
                    return false;
                }
                prune_nulls(child, value);
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
