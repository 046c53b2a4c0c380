//! The schemas of custom resources and of lists in OpenAPI documents.

use serde_json::{Map, Value, json};

use crate::kind::ResourceKind;
use crate::schemas::{self, LIST_META, OBJECT_META, REF_PREFIX};

/// A built-in type whose descriptions of `apiVersion`, `kind`, and `metadata` apply to
/// every type.
const METADATA_MODEL: &str = "io.k8s.api.core.v1.ConfigMap";

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{REF_PREFIX}{name}")})
}

fn described_reference(name: &str, description: &str) -> Value {
    json!({"allOf": [reference(name)], "description": description})
}

fn string_field(field: &str) -> Value {
    json!({"type": "string", "description": schemas::field_description(METADATA_MODEL, field)})
}

/// Adds `apiVersion`, `kind`, and `metadata`.
fn add_type_and_metadata(schema: &mut Map<String, Value>, metadata: &str, description: &str) {
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("apiVersion".into(), string_field("apiVersion"));
        properties.insert("kind".into(), string_field("kind"));
        properties.insert(
            "metadata".into(),
            described_reference(metadata, description),
        );
    }
}

/// Returns the schema of a custom resource: that of its definition, with the fields
/// that every object has.
pub(super) fn schema(kind: &ResourceKind, declared: &Value) -> Value {
    let mut schema = match declared {
        Value::Object(schema) => schema.clone(),
        _ => {
            // Without a schema, every object is allowed.
            let mut open = Map::new();
            open.insert("type".into(), "object".into());
            open.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
            open
        }
    };
    complete_children(&mut schema);
    add_type_and_metadata(
        &mut schema,
        OBJECT_META,
        schemas::field_description(METADATA_MODEL, "metadata"),
    );
    schema.insert(
        "x-kubernetes-group-version-kind".into(),
        schemas::gvk(&kind.group, &kind.version, &kind.kind),
    );
    Value::Object(schema)
}

/// Expresses Kubernetes' extensions in plain OpenAPI, in all schemas below this one.
fn complete_children(schema: &mut Map<String, Value>) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for schema in properties
        .into_iter()
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut)
    {
        complete_schema(schema);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(schema)) = schema.get_mut(key) {
            complete_schema(schema);
        }
    }
}

fn complete_schema(schema: &mut Map<String, Value>) {
    complete_children(schema);
    let has = |extension: &str| schema.get(extension) == Some(&Value::Bool(true));
    let (is_int_or_string, is_embedded) = (
        has("x-kubernetes-int-or-string"),
        has("x-kubernetes-embedded-resource"),
    );
    if is_int_or_string && !schema.contains_key("anyOf") {
        schema.insert(
            "anyOf".into(),
            json!([{"type": "integer"}, {"type": "string"}]),
        );
    }
    if is_embedded {
        add_type_and_metadata(
            schema,
            OBJECT_META,
            schemas::field_description(METADATA_MODEL, "metadata"),
        );
    }
}

/// Returns the schema of a list of the kind whose schema is `name`.
pub(super) fn list_schema(kind: &ResourceKind, name: &str) -> Value {
    const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
    let mut schema = Map::new();
    schema.insert(
        "description".into(),
        format!("{} is a list of {}", kind.list_kind, kind.kind).into(),
    );
    schema.insert("type".into(), "object".into());
    schema.insert("required".into(), json!(["items"]));
    schema.insert(
        "properties".into(),
        json!({"items": {
            "type": "array",
            "description": format!("The {} of the list, sorted by namespace and name.", kind.plural),
            "items": reference(name),
        }}),
    );
    add_type_and_metadata(&mut schema, LIST_META, LIST_METADATA);
    schema.insert(
        "x-kubernetes-group-version-kind".into(),
        schemas::gvk(&kind.group, &kind.version, &kind.list_kind),
    );
    Value::Object(schema)
}
