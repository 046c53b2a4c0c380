//! Validation of the metadata of embedded resources.

use serde_json::{Map, Value};

use crate::error::{FieldError, FieldErrorKind};
use crate::names;
use crate::node::SchemaNode;
use crate::path::PathRef;

/// Validates the metadata of every embedded resource in a value, and of the value itself if `is_resource`.
pub(super) fn check(
    node: &SchemaNode,
    value: &Value,
    is_resource: bool,
    base: &str,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    visit(node, value, is_resource, &PathRef::Root(base), &mut errors);
    errors
}

fn visit(
    node: &SchemaNode,
    value: &Value,
    is_resource: bool,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::Object(map) => {
            if is_resource {
                check_resource(map, path, errors);
            }
            for (name, value) in map {
                if let Some(property) = node.properties.get(name) {
                    visit(
                        property,
                        value,
                        property.embedded_resource,
                        &path.field(name),
                        errors,
                    );
                } else if let Some(schema) = node.additional_properties.schema() {
                    visit(
                        schema,
                        value,
                        schema.embedded_resource,
                        &path.key(name),
                        errors,
                    );
                }
            }
        }
        Value::Array(items) => {
            let Some(item) = &node.items else { return };
            for (index, value) in items.iter().enumerate() {
                visit(
                    item,
                    value,
                    item.embedded_resource,
                    &path.index(index),
                    errors,
                );
            }
        }
        _ => {}
    }
}

fn check_resource(map: &Map<String, Value>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    if let Some(version) = required_string(map, "apiVersion", path, errors)
        && version.matches('/').count() > 1
    {
        let detail = format!("unexpected GroupVersion string: {version}");
        errors.push(FieldError::invalid(
            path.field("apiVersion"),
            version,
            detail,
        ));
    }
    if let Some(kind) = required_string(map, "kind", path, errors) {
        let problems = names::validate_dns_1035_label(&kind.to_lowercase());
        if !problems.is_empty() {
            let detail = format!(
                "may have mixed case, but should otherwise match: {}",
                problems.join(",")
            );
            errors.push(FieldError::invalid(path.field("kind"), kind, detail));
        }
    }
    if let Some(Value::Object(metadata)) = map.get("metadata") {
        check_metadata(metadata, &path.field("metadata"), errors);
    }
}

/// Returns a required string field; reports an error if it is missing, empty, or of another type.
fn required_string<'a>(
    map: &'a Map<String, Value>,
    name: &str,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<&'a str> {
    match map.get(name) {
        Some(Value::String(text)) if !text.is_empty() => return Some(text),
        None | Some(Value::String(_)) => errors.push(FieldError::required(path.field(name), "")),
        Some(other) => errors.push(FieldError::invalid(
            path.field(name),
            other.clone(),
            "must be a string",
        )),
    }
    None
}

fn check_metadata(metadata: &Map<String, Value>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    for name in ["generateName", "name"] {
        let Some(value) = text(name) else { continue };
        for problem in names::validate_path_segment(value) {
            errors.push(FieldError::invalid(path.field(name), value, problem));
        }
    }
    if let Some(namespace) = text("namespace") {
        for problem in names::validate_dns_label(namespace) {
            errors.push(FieldError::invalid(
                path.field("namespace"),
                namespace,
                problem,
            ));
        }
    }
    let labels = path.field("labels");
    for (key, value) in metadata
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for problem in names::validate_qualified_name(key) {
            errors.push(FieldError::invalid(labels, key.as_str(), problem));
        }
        for problem in value
            .as_str()
            .into_iter()
            .flat_map(names::validate_label_value)
        {
            errors.push(FieldError::invalid(labels, value.clone(), problem));
        }
    }
    let annotations = path.field("annotations");
    let mut size = 0;
    for (key, value) in metadata
        .get("annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for problem in names::validate_qualified_name(&key.to_lowercase()) {
            errors.push(FieldError::invalid(annotations, key.as_str(), problem));
        }
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > names::MAX_ANNOTATION_BYTES {
        let detail = format!("may not be more than {} bytes", names::MAX_ANNOTATION_BYTES);
        errors.push(FieldError::new(
            FieldErrorKind::TooLong,
            annotations,
            None,
            detail,
        ));
    }
    let finalizers = path.field("finalizers");
    for (index, finalizer) in metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        let finalizer = finalizer.as_str().unwrap_or_default();
        for problem in names::validate_qualified_name(finalizer) {
            errors.push(FieldError::invalid(
                finalizers.index(index),
                finalizer,
                problem,
            ));
        }
    }
    let owners = path.field("ownerReferences");
    for (index, owner) in metadata
        .get("ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        check_owner(owner, &owners.index(index), errors);
    }
}

fn check_owner(owner: &Value, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    if version.rsplit('/').next().is_none_or(str::is_empty) {
        errors.push(FieldError::invalid(
            path.field("apiVersion"),
            version,
            "version must not be empty",
        ));
    }
    for name in ["kind", "name", "uid"]
        .into_iter()
        .filter(|name| text(name).is_empty())
    {
        errors.push(FieldError::invalid(
            path.field(name),
            "",
            "must not be empty",
        ));
    }
}
