//! Conversion of OpenAPI v3 schemas to field types.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::{ElementRelationship, FieldType, ListAtom, MapAtom, ScalarAtom, TypeAtom};

/// The type of `metadata`, which every resource has.
static OBJECT_META: LazyLock<FieldType> = LazyLock::new(object_meta);

/// Converts the schema of a whole object.
pub(super) fn convert_object(schema: &Value) -> FieldType {
    let mut atom = convert(schema, false);
    let map = atom.map.get_or_insert_with(|| MapAtom {
        is_atomic: false,
        fields: BTreeMap::new(),
        additional: Some(FieldType::Deduced),
    });
    map.is_atomic = false;
    declare_resource_fields(map);
    // An object is always a map.
    atom.scalar = None;
    atom.list = None;
    FieldType::Atom(Arc::new(atom))
}

fn bool_keyword(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn string_keyword<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Converts one schema. `preserve` says whether an enclosing schema preserves unknown fields, which
/// applies to all schemas below it.
fn convert(schema: &Value, preserve: bool) -> TypeAtom {
    let preserve = preserve || bool_keyword(schema, "x-kubernetes-preserve-unknown-fields");
    let scalar = |scalar| TypeAtom {
        scalar: Some(scalar),
        ..TypeAtom::default()
    };
    match string_keyword(schema, "type") {
        "object" => TypeAtom {
            map: Some(convert_map(schema, preserve)),
            ..TypeAtom::default()
        },
        "array" => TypeAtom {
            list: Some(convert_list(schema, preserve)),
            ..TypeAtom::default()
        },
        "integer" | "number" => scalar(ScalarAtom::Number),
        "boolean" => scalar(ScalarAtom::Bool),
        "string" if matches!(string_keyword(schema, "format"), "" | "byte") => {
            scalar(ScalarAtom::String)
        }
        "string" => scalar(ScalarAtom::Any),
        _ => TypeAtom {
            scalar: Some(ScalarAtom::Any),
            list: Some(convert_list(schema, preserve)),
            map: Some(convert_map(schema, preserve)),
        },
    }
}

fn convert_map(schema: &Value, preserve: bool) -> MapAtom {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: BTreeMap<String, FieldType> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            (
                name.clone(),
                FieldType::Atom(Arc::new(convert(schema, preserve))),
            )
        })
        .collect();
    let additional = match schema.get("additionalProperties") {
        Some(Value::Bool(allowed)) => allowed.then_some(FieldType::Deduced),
        Some(schema) => Some(FieldType::Atom(Arc::new(convert(schema, preserve)))),
        None => (preserve || fields.is_empty()).then_some(FieldType::Deduced),
    };
    let mut map = MapAtom {
        is_atomic: string_keyword(schema, "x-kubernetes-map-type") == "atomic",
        fields,
        additional,
    };
    if bool_keyword(schema, "x-kubernetes-embedded-resource") {
        declare_resource_fields(&mut map);
    }
    map
}

fn convert_list(schema: &Value, preserve: bool) -> ListAtom {
    let items = schema.get("items");
    let relationship = match string_keyword(schema, "x-kubernetes-list-type") {
        "set" => ElementRelationship::Set,
        "map" => {
            let default = |key: &str| items?.get("properties")?.get(key)?.get("default").cloned();
            let mut keys: Vec<(String, Option<Value>)> = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|key| (key.to_owned(), default(key)))
                .collect();
            keys.sort_by(|(l, _), (r, _)| l.cmp(r));
            ElementRelationship::Keyed(keys)
        }
        _ => ElementRelationship::Atomic,
    };
    ListAtom {
        relationship,
        element: items.map_or(FieldType::Opaque, |items| {
            FieldType::Atom(Arc::new(convert(items, preserve)))
        }),
    }
}

/// Declares the fields that every resource has.
fn declare_resource_fields(map: &mut MapAtom) {
    let string = || {
        FieldType::Atom(Arc::new(TypeAtom {
            scalar: Some(ScalarAtom::String),
            ..TypeAtom::default()
        }))
    };
    map.fields.insert("apiVersion".to_owned(), string());
    map.fields.insert("kind".to_owned(), string());
    map.fields
        .insert("metadata".to_owned(), OBJECT_META.clone());
}

/// Returns the type of meta/v1 ObjectMeta, as kube-apiserver declares it.
fn object_meta() -> FieldType {
    let string_map =
        serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}});
    let time = serde_json::json!({"type": "string", "format": "date-time"});
    let number = serde_json::json!({"type": "integer"});
    let string = serde_json::json!({"type": "string"});
    let meta = serde_json::json!({"type": "object", "properties": {
        "annotations": string_map,
        "clusterName": string,
        "creationTimestamp": time,
        "deletionGracePeriodSeconds": number,
        "deletionTimestamp": time,
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set", "items": string},
        "generateName": string,
        "generation": number,
        "labels": string_map,
        "managedFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {}},
        "name": string,
        "namespace": string,
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"], "items": {
            "type": "object", "x-kubernetes-map-type": "atomic", "properties": {
                "apiVersion": string, "blockOwnerDeletion": {"type": "boolean"}, "controller": {"type": "boolean"},
                "kind": string, "name": string, "uid": string}}},
        "resourceVersion": string,
        "selfLink": string,
        "uid": string,
    }});
    FieldType::Atom(Arc::new(convert(&meta, false)))
}
