//! Strategic merge patches of built-in kinds: merge patches that merge lists where
//! the schema has a merge strategy.
//!
//! Written by hand: no crate implements this format, which only Kubernetes uses.

mod conversion;
mod keyed_items;
mod quoted_patch;

use std::collections::HashMap;

use rdd_apiserver_fieldmanager::GoValue;
use serde_json::{Map, Value};

pub(crate) use self::conversion::conversion_message;
use self::keyed_items::{KeyedItems, positions};
pub(crate) use self::quoted_patch::quoted_patch;

/// Key of the directive that replaces or deletes a map or an item.
const PATCH_DIRECTIVE: &str = "$patch";
/// Prefix of the directive that deletes items of a list of primitives.
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";
/// Prefix of the directive that orders a list.
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";

/// A strategic merge patch that cannot be applied, in the words of kube-apiserver.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum StrategicError {
    /// An item of the patch lacks the list's merge key.
    #[error("map: {item} does not contain declared merge key: {key}")]
    MissingMergeKey { item: String, key: String },
    /// A `$patch` other than merge, replace, and delete.
    #[error("unknown patch type found in map: {0}")]
    UnknownDirective(String),
}

/// Applies a patch to a document with the given OpenAPI schema.
///
/// # Errors
/// An item lacks its merge key, or a directive is unknown.
pub(crate) fn apply(
    document: &Value,
    patch: &Map<String, Value>,
    schema: &Value,
) -> Result<Value, StrategicError> {
    let empty = Map::new();
    let original = document.as_object().unwrap_or(&empty).clone();
    merge_map(original, patch, schema).map(Value::Object)
}

/// Returns the schema of a property, or that of the values of a map.
fn field_schema<'s>(schema: &'s Value, name: &str) -> &'s Value {
    schema
        .pointer("/properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| schema.get("additionalProperties"))
        .unwrap_or(&Value::Null)
}

/// Returns whether a list is merged, and the merge key if its items are objects.
fn merge_strategy(schema: &Value) -> (bool, Option<&str>) {
    let strategy = schema["x-kubernetes-patch-strategy"]
        .as_str()
        .unwrap_or_default();
    let merges = strategy.split(',').any(|part| part == "merge");
    (merges, schema["x-kubernetes-patch-merge-key"].as_str())
}

fn is_directive(key: &str) -> bool {
    key == PATCH_DIRECTIVE
        || key.starts_with(DELETE_FROM_PRIMITIVE_LIST)
        || key.starts_with(SET_ELEMENT_ORDER)
}

/// Returns a value of the patch for a new field: without directives and nulls.
fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            if map
                .get(PATCH_DIRECTIVE)
                .is_some_and(|directive| directive != "replace")
            {
                return Value::Object(Map::new());
            }
            Value::Object(
                map.iter()
                    .filter(|(key, value)| !is_directive(key) && !value.is_null())
                    .map(|(key, value)| (key.clone(), without_directives(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items_without_directives(items)),
        other => other.clone(),
    }
}

fn items_without_directives(items: &[Value]) -> Vec<Value> {
    items
        .iter()
        .filter(|item| item.get(PATCH_DIRECTIVE).is_none())
        .map(without_directives)
        .collect()
}

fn merge_map(
    mut original: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: &Value,
) -> Result<Map<String, Value>, StrategicError> {
    match patch
        .get(PATCH_DIRECTIVE)
        .map(|directive| directive.as_str().unwrap_or_default())
    {
        None | Some("merge") => {}
        Some("delete") => return Ok(Map::new()),
        Some("replace") => {
            return Ok(patch
                .iter()
                .filter(|(key, _)| *key != PATCH_DIRECTIVE)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect());
        }
        Some(other) => return Err(StrategicError::UnknownDirective(other.to_owned())),
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
            let deleted = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(Value::Array(items)) = original.get_mut(name) {
                items.retain(|item| !deleted.contains(item));
            }
        }
    }
    for (key, value) in patch {
        if is_directive(key) {
            continue;
        }
        if value.is_null() {
            original.remove(key);
            continue;
        }
        let inner = field_schema(schema, key);
        let order = patch
            .get(&format!("{SET_ELEMENT_ORDER}{key}"))
            .and_then(Value::as_array);
        let merged = match (original.remove(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Value::Object(merge_map(old, new, inner)?)
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                Value::Array(merge_list(old, new, order, inner)?)
            }
            (None, Value::Array(new)) => Value::Array(new_list(new, order, inner)),
            (_, new) => without_directives(new),
        };
        original.insert(key.clone(), merged);
    }
    // The order may change without a change of items.
    for (key, order) in patch {
        let Some((name, order)) = key.strip_prefix(SET_ELEMENT_ORDER).zip(order.as_array()) else {
            continue;
        };
        if patch.contains_key(name) {
            continue;
        }
        let inner = field_schema(schema, name);
        if let Some(Value::Array(items)) = original.get_mut(name) {
            let old = std::mem::take(items);
            *items = merge_list(old, &[], Some(order), inner)?;
        }
    }
    Ok(original)
}

/// Returns what identifies an item: its merge key, or the item itself.
fn merge_key_value<'v>(item: &'v Value, key: Option<&str>) -> &'v Value {
    match key {
        Some(key) if item.is_object() => item.get(key).unwrap_or(&Value::Null),
        _ => item,
    }
}

fn merge_key_values(items: &[Value], key: Option<&str>) -> Vec<Value> {
    items
        .iter()
        .map(|item| merge_key_value(item, key).clone())
        .collect()
}

/// Returns a list that the document does not have yet, in the patch's order. Its items
/// need no merge key.
fn new_list(patch: &[Value], order: Option<&Vec<Value>>, schema: &Value) -> Vec<Value> {
    let items = items_without_directives(patch);
    let (merges, key) = merge_strategy(schema);
    match order.filter(|_| merges) {
        Some(order) => order_items(items, &merge_key_values(order, key), &[], key),
        None => items,
    }
}

fn merge_list(
    old: Vec<Value>,
    patch: &[Value],
    order: Option<&Vec<Value>>,
    schema: &Value,
) -> Result<Vec<Value>, StrategicError> {
    let (merges, key) = merge_strategy(schema);
    if !merges {
        return Ok(patch.iter().map(without_directives).collect());
    }
    let directive = |item: &Value| {
        item.get(PATCH_DIRECTIVE)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if patch
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace"))
    {
        return Ok(items_without_directives(patch));
    }
    let live_order = merge_key_values(&old, key);
    let mut items = KeyedItems::new(old, key);
    let mut patch_order: Vec<Value> = Vec::new();
    for item in patch {
        let id = merge_key_value(item, key).clone();
        if let (Value::Object(map), Some(key)) = (item, key)
            && !map.contains_key(key)
        {
            return Err(StrategicError::MissingMergeKey {
                item: GoValue(item).to_string(),
                key: key.to_owned(),
            });
        }
        match directive(item).as_deref() {
            Some("delete") => {
                items.remove(&id);
                continue;
            }
            None | Some("merge") => {}
            Some(other) => return Err(StrategicError::UnknownDirective(other.to_owned())),
        }
        match (items.get_mut(&id), item) {
            (Some(Value::Object(map)), Value::Object(new)) => {
                let inner = schema.get("items").unwrap_or(&Value::Null);
                *map = merge_map(std::mem::take(map), new, inner)?;
            }
            (Some(_), _) => {}
            (None, new) => items.push(&id, without_directives(new)),
        }
        patch_order.push(id);
    }
    let new_order = match order {
        Some(order) => merge_key_values(order, key),
        None => patch_order,
    };
    Ok(order_items(
        items.into_items(),
        &new_order,
        &live_order,
        key,
    ))
}

/// Orders the items: those of the patch in its order, and each other item before
/// the first of them that it preceded.
fn order_items(
    items: Vec<Value>,
    new_order: &[Value],
    live_order: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let (new_order, live_order) = (positions(new_order), positions(live_order));
    let position = |order: &HashMap<String, usize>, item: &Value| {
        order.get(&merge_key_value(item, key).to_string()).copied()
    };
    let (mut patched, others): (Vec<Value>, Vec<Value>) = items
        .into_iter()
        .partition(|item| position(&new_order, item).is_some());
    patched.sort_by_cached_key(|item| position(&new_order, item));
    let (mut patched, mut others) = (
        patched.into_iter().peekable(),
        others.into_iter().peekable(),
    );
    let mut out = Vec::new();
    while let (Some(other), Some(next)) = (others.peek(), patched.peek()) {
        let other_is_first = matches!(
            (position(&live_order, other), position(&live_order, next)),
            (Some(other), Some(patched)) if other < patched
        );
        out.extend(if other_is_first {
            others.next()
        } else {
            patched.next()
        });
    }
    out.extend(others);
    out.extend(patched);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(document: Value, patch: Value) -> Result<Value, StrategicError> {
        let schema = json!({"properties": {
            "data": {"additionalProperties": {"type": "string"}},
            "finalizers": {"x-kubernetes-patch-strategy": "merge"},
            "plain": {"type": "array"},
            "owners": {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid"},
        }});
        apply(&document, patch.as_object().unwrap(), &schema)
    }

    #[test]
    fn maps_merge_and_directives_replace_or_delete() {
        let document = json!({"data": {"a": "1", "b": "2"}});
        assert_eq!(
            patch(document.clone(), json!({"data": {"a": null, "c": "3"}})).unwrap(),
            json!({"data": {"b": "2", "c": "3"}})
        );
        assert_eq!(
            patch(
                document.clone(),
                json!({"data": {"$patch": "replace", "x": "y"}})
            )
            .unwrap(),
            json!({"data": {"x": "y"}})
        );
        assert_eq!(
            patch(document.clone(), json!({"data": {"$patch": "delete"}})).unwrap(),
            json!({"data": {}})
        );
        assert_eq!(
            patch(document, json!({"data": {"$patch": "explode"}})),
            Err(StrategicError::UnknownDirective("explode".into()))
        );
    }

    #[test]
    fn lists_merge_by_key_or_as_sets_and_follow_the_requested_order() {
        let document = json!({"finalizers": ["one", "two"], "plain": [1, 2], "owners": [{"uid": "u1", "name": "x", "n": 1}]});
        let new = patch(document.clone(), json!({"finalizers": ["three"], "plain": [3], "owners": [{"uid": "u2"}, {"uid": "u1", "name": "y"}]})).unwrap();
        assert_eq!(
            new,
            json!({"finalizers": ["three", "one", "two"], "plain": [3], "owners": [{"uid": "u2"}, {"uid": "u1", "name": "y", "n": 1}]})
        );
        let deleted = patch(document.clone(), json!({"$deleteFromPrimitiveList/finalizers": ["one"], "owners": [{"uid": "u1", "$patch": "delete"}]})).unwrap();
        assert_eq!(
            deleted,
            json!({"finalizers": ["two"], "plain": [1, 2], "owners": []})
        );
        let ordered = patch(
            document.clone(),
            json!({"$setElementOrder/finalizers": ["two", "one"]}),
        )
        .unwrap();
        assert_eq!(ordered["finalizers"], json!(["two", "one"]));
        assert!(matches!(
            patch(document, json!({"owners": [{"name": "z"}]})),
            Err(StrategicError::MissingMergeKey { .. })
        ));
    }

    #[test]
    fn a_new_list_needs_no_merge_key() {
        let new = patch(
            json!({}),
            json!({"owners": [{"name": "z"}, {"uid": "u1", "$patch": "delete"}, {"uid": "u2"}]}),
        );
        assert_eq!(
            new.unwrap(),
            json!({"owners": [{"name": "z"}, {"uid": "u2"}]})
        );
        let ordered = patch(
            json!({}),
            json!({"$setElementOrder/finalizers": ["one", "two"], "finalizers": ["two", "one"]}),
        );
        assert_eq!(ordered.unwrap(), json!({"finalizers": ["one", "two"]}));
    }
}
