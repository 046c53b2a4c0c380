//! Defaults, filled in on write and on read.

use serde_json::Value;

use crate::node::Node;

/// Fills in what is missing in `object`, then drops the nulls that the schema neither allows nor has a default for.
pub(crate) fn apply(node: &Node, object: &mut Value) {
    drop_nulls(node, object);
    fill(node, object, &mut Allowance(ALLOWANCE));
}

fn refused_null(value: &Value, node: &Node) -> bool {
    value.is_null() && !node.nullable
}

/// What defaults may add to one object, in values, with 32 bytes of text for
/// one more: a small object could otherwise grow by a large default for each
/// of its items. An object that used this up is beyond what is stored.
const ALLOWANCE: usize = 200_000;

/// What is left of [`ALLOWANCE`].
struct Allowance(usize);

impl Allowance {
    /// A copy of a default, while there is room for it.
    fn copy(&mut self, default: &Value) -> Option<Value> {
        if self.0 == 0 {
            return None;
        }
        self.0 = self.0.saturating_sub(weight(default));
        Some(default.clone())
    }
}

fn weight(value: &Value) -> usize {
    /// Bytes of text that weigh as much as a value.
    const TEXT: usize = 32;
    1 + match value {
        Value::String(text) => text.len() / TEXT,
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| name.len() / TEXT + weight(value))
            .sum(),
        _ => 0,
    }
}

fn fill(node: &Node, value: &mut Value, allowance: &mut Allowance) {
    match value {
        Value::Object(map) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|value| refused_null(value, property))
                    && let Some(default) = allowance.copy(default)
                {
                    map.insert(name.clone(), default);
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = node.properties.get(name) {
                    fill(property, value, allowance);
                } else if let Some(additional) = node.additional.schema() {
                    fill_entry(additional, value, allowance);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = &node.items {
                for value in items {
                    fill_entry(item, value, allowance);
                }
            }
        }
        _ => {}
    }
}

fn fill_entry(node: &Node, value: &mut Value, allowance: &mut Allowance) {
    if let Some(default) = node.default.as_ref().filter(|_| refused_null(value, node))
        && let Some(default) = allowance.copy(default)
    {
        *value = default;
    }
    fill(node, value, allowance);
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
