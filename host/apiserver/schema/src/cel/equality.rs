//! Equality of values according to their schema.

use cel::Value;

use super::types::{DeclKind, DeclType};

/// Whether two values that `decl` declares are equal; the order of lists of type set and map is ignored.
pub(super) fn is_equal_as_declared(decl: &DeclType, left: &Value, right: &Value) -> bool {
    match (&decl.kind, left, right) {
        (DeclKind::List { item, unordered }, Value::List(left), Value::List(right)) => {
            if left.len() != right.len() {
                return false;
            }
            if !unordered {
                return left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| is_equal_as_declared(item, left, right));
            }
            // Items are unique, by key or as a whole: each equals at most one item of the other list.
            left.iter().all(|left| {
                right
                    .iter()
                    .any(|right| is_equal_as_declared(item, left, right))
            }) && right.iter().all(|right| {
                left.iter()
                    .any(|left| is_equal_as_declared(item, left, right))
            })
        }
        (DeclKind::Map(value), Value::Map(left), Value::Map(right)) => {
            left.map.len() == right.map.len()
                && left.map.iter().all(|(key, left)| {
                    right
                        .get(key)
                        .is_some_and(|right| is_equal_as_declared(value, left, right))
                })
        }
        (DeclKind::Object(fields), Value::Map(left), Value::Map(right)) => {
            left.map.len() == right.map.len()
                && left.map.iter().all(|(key, left)| {
                    let field = match key {
                        cel::objects::Key::String(name) => fields.get(name.as_str()),
                        _ => None,
                    };
                    right.get(key).is_some_and(|right| match field {
                        Some(field) => is_equal_as_declared(field, left, right),
                        None => left == right,
                    })
                })
        }
        _ => left == right,
    }
}
