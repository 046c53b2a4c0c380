//! Strategic merge patches of built-in kinds: a merge patch that knows from
//! the schema which lists are merged, and by which key.

use serde_json::{Map, Value};

const PATCH_DIRECTIVE: &str = "$patch";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";

/// Why a strategic patch cannot be applied.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum StrategicError {
    /// A list is merged by a key that an item of the patch lacks.
    #[error("map: {item} does not contain declared merge key: {key}")]
    MissingMergeKey { item: String, key: String },
    /// A `$patch` that is none of merge, replace and delete.
    #[error("unknown patch type found in map: {0}")]
    UnknownDirective(String),
}

/// Applies a patch to a document whose OpenAPI schema is given.
pub(crate) fn apply(
    document: &Value,
    patch: &Map<String, Value>,
    schema: &Value,
) -> Result<Value, StrategicError> {
    let empty = Map::new();
    let original = document.as_object().unwrap_or(&empty).clone();
    merge_map(original, patch, schema).map(Value::Object)
}

/// The schema of a field: of a property, or of any value of a map.
fn field_schema<'s>(schema: &'s Value, name: &str) -> &'s Value {
    schema
        .pointer("/properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| schema.get("additionalProperties"))
        .unwrap_or(&Value::Null)
}

/// Whether a list is merged, and by which key when its items are objects.
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

/// A value of the patch where the document has nothing: without directives,
/// and without what only deletes.
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
        Value::Array(items) => items
            .iter()
            .filter(|item| item.get(PATCH_DIRECTIVE).is_none())
            .map(without_directives)
            .collect(),
        other => other.clone(),
    }
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
            let gone = value.as_array().map_or(&[][..], Vec::as_slice);
            if let Some(Value::Array(items)) = original.get_mut(name) {
                items.retain(|item| !gone.contains(item));
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
            (None, Value::Array(new)) if merge_strategy(inner).0 => {
                Value::Array(merge_list(Vec::new(), new, order, inner)?)
            }
            (_, new) => without_directives(new),
        };
        original.insert(key.clone(), merged);
    }
    // An order may come without any change of the items.
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

/// What tells an item apart: its key, or the item itself.
fn merge_key_value<'v>(item: &'v Value, key: Option<&str>) -> &'v Value {
    match key {
        Some(key) if item.is_object() => item.get(key).unwrap_or(&Value::Null),
        _ => item,
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
        return Ok(patch
            .iter()
            .filter(|item| item.get(PATCH_DIRECTIVE).is_none())
            .map(without_directives)
            .collect());
    }
    let server: Vec<Value> = old
        .iter()
        .map(|item| merge_key_value(item, key).clone())
        .collect();
    let mut items = old;
    let mut named: Vec<Value> = Vec::new();
    for item in patch {
        let id = merge_key_value(item, key).clone();
        if let (Value::Object(map), Some(key)) = (item, key)
            && !map.contains_key(key)
        {
            return Err(StrategicError::MissingMergeKey {
                item: item.to_string(),
                key: key.to_owned(),
            });
        }
        match directive(item).as_deref() {
            Some("delete") => {
                items.retain(|old| *merge_key_value(old, key) != id);
                continue;
            }
            None | Some("merge") => {}
            Some(other) => return Err(StrategicError::UnknownDirective(other.to_owned())),
        }
        let found = items
            .iter()
            .position(|old| *merge_key_value(old, key) == id);
        match (found.and_then(|at| items.get_mut(at)), item) {
            (Some(Value::Object(map)), Value::Object(new)) => {
                let inner = schema.get("items").unwrap_or(&Value::Null);
                *map = merge_map(std::mem::take(map), new, inner)?;
            }
            (Some(_), _) => {}
            (None, new) => items.push(without_directives(new)),
        }
        named.push(id);
    }
    let wanted: Vec<Value> = match order {
        Some(order) => order
            .iter()
            .map(|item| merge_key_value(item, key).clone())
            .collect(),
        None => named,
    };
    Ok(order_items(items, &wanted, &server, key))
}

/// Items that the patch speaks of come in its order, the others keep their
/// place before those that they stood before.
fn order_items(
    items: Vec<Value>,
    wanted: &[Value],
    server: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let place =
        |list: &[Value], item: &Value| list.iter().position(|id| id == merge_key_value(item, key));
    let (mut patched, others): (Vec<Value>, Vec<Value>) = items
        .into_iter()
        .partition(|item| place(wanted, item).is_some());
    patched.sort_by_key(|item| place(wanted, item));
    let (mut patched, mut others) = (
        patched.into_iter().peekable(),
        others.into_iter().peekable(),
    );
    let mut out = Vec::new();
    while let (Some(other), Some(mine)) = (others.peek(), patched.peek()) {
        let before = matches!(
            (place(server, other), place(server, mine)),
            (Some(other), Some(mine)) if other < mine
        );
        out.extend(if before {
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

    fn patched(document: Value, patch: Value) -> Result<Value, StrategicError> {
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
            patched(document.clone(), json!({"data": {"a": null, "c": "3"}})).unwrap(),
            json!({"data": {"b": "2", "c": "3"}})
        );
        assert_eq!(
            patched(
                document.clone(),
                json!({"data": {"$patch": "replace", "x": "y"}})
            )
            .unwrap(),
            json!({"data": {"x": "y"}})
        );
        assert_eq!(
            patched(document.clone(), json!({"data": {"$patch": "delete"}})).unwrap(),
            json!({"data": {}})
        );
        assert_eq!(
            patched(document, json!({"data": {"$patch": "explode"}})),
            Err(StrategicError::UnknownDirective("explode".into()))
        );
    }

    #[test]
    fn lists_merge_by_key_or_as_sets_and_keep_the_order_asked_for() {
        let document = json!({"finalizers": ["one", "two"], "plain": [1, 2], "owners": [{"uid": "u1", "name": "x", "n": 1}]});
        let new = patched(document.clone(), json!({"finalizers": ["three"], "plain": [3], "owners": [{"uid": "u2"}, {"uid": "u1", "name": "y"}]})).unwrap();
        assert_eq!(
            new,
            json!({"finalizers": ["three", "one", "two"], "plain": [3], "owners": [{"uid": "u2"}, {"uid": "u1", "name": "y", "n": 1}]})
        );
        let gone = patched(document.clone(), json!({"$deleteFromPrimitiveList/finalizers": ["one"], "owners": [{"uid": "u1", "$patch": "delete"}]})).unwrap();
        assert_eq!(
            gone,
            json!({"finalizers": ["two"], "plain": [1, 2], "owners": []})
        );
        let ordered = patched(
            document.clone(),
            json!({"$setElementOrder/finalizers": ["two", "one"]}),
        )
        .unwrap();
        assert_eq!(ordered["finalizers"], json!(["two", "one"]));
        assert!(matches!(
            patched(document, json!({"owners": [{"name": "z"}]})),
            Err(StrategicError::MissingMergeKey { .. })
        ));
    }
}
