//! Uniqueness of items in lists of type set and map.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::error::{FieldError, FieldErrorKind};
use crate::node::{ListType, SchemaNode};
use crate::path::PathRef;

/// Returns an error for each duplicate in a value.
pub(super) fn find_duplicates(node: &SchemaNode, value: &Value, base: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(node, value, &PathRef::Root(base), &mut errors);
    errors
}

fn visit(node: &SchemaNode, value: &Value, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(property) = node.properties.get(name) {
                    visit(property, value, &path.field(name), errors);
                } else if let Some(additional) = node.additional_properties.schema() {
                    visit(additional, value, &path.key(name), errors);
                }
            }
        }
        Value::Array(items) => {
            match &node.list_type {
                ListType::Untyped | ListType::Atomic => {}
                ListType::Set if is_quickly_unique(items, |left, right| left == right) => {}
                ListType::Set => report_duplicates(items.iter().cloned(), path, errors),
                ListType::Map(keys) => check_map_list(keys, items, path, errors),
            }
            if let Some(item) = &node.items {
                for (index, value) in items.iter().enumerate() {
                    visit(item, value, &path.index(index), errors);
                }
            }
        }
        _ => {}
    }
}

fn check_map_list(
    keys: &[String],
    items: &[Value],
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let misfit = items
        .iter()
        .enumerate()
        .find(|(_, item)| !item.is_object() && !item.is_null());
    if let Some((index, item)) = misfit {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(path.index(index), item.clone(), detail));
        return;
    }
    let has_equal_keys =
        |left: &Value, right: &Value| keys.iter().all(|key| left.get(key) == right.get(key));
    if !is_quickly_unique(items, has_equal_keys) {
        report_duplicates(
            items.iter().map(|item| Value::Object(key_of(keys, item))),
            path,
            errors,
        );
    }
}

/// The maximum number of items that are compared pairwise, which is faster than serializing them.
const MAX_PAIRWISE_ITEMS: usize = 32;

/// Whether a pairwise comparison shows that all items differ; false also for lists that are too long for it.
fn is_quickly_unique(items: &[Value], is_equal: impl Fn(&Value, &Value) -> bool) -> bool {
    items.len() <= MAX_PAIRWISE_ITEMS
        && items.iter().enumerate().all(|(index, item)| {
            !items
                .iter()
                .take(index)
                .any(|earlier| is_equal(earlier, item))
        })
}

/// Reports the second of several equal values.
fn report_duplicates(
    values: impl Iterator<Item = Value>,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut seen = HashMap::new();
    for (index, value) in values.enumerate() {
        // The keys of objects are sorted, so that equal values have equal texts.
        let count = seen.entry(value.to_string()).or_insert(0_usize);
        *count += 1;
        if *count == 2 {
            errors.push(FieldError::new(
                FieldErrorKind::Duplicate,
                path.index(index),
                Some(value),
                "",
            ));
        }
    }
}

/// Returns the fields of an item that are its key.
fn key_of(keys: &[String], item: &Value) -> Map<String, Value> {
    let value = |key: &String| item.get(key).map(|value| (key.clone(), value.clone()));
    keys.iter().filter_map(value).collect()
}
