//! The strategy of CustomResourceDefinitions. Their schemas are validated by
//! `rdd-apiserver-schema`.

mod names;
mod version_fields;
mod versions;

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::{Value, json};

use super::field_errors::{IMMUTABLE, invalid};
use super::{object_field_mut, reset_field, string_or_empty};

/// Sets the default conversion, and the names that are derived from the kind.
fn set_defaults(object: &mut Value) {
    let Some(spec) = object_field_mut(object, "spec") else {
        return;
    };
    spec.entry("conversion")
        .or_insert_with(|| json!({"strategy": "None"}));
    let Some(names) = spec
        .entry("names")
        .or_insert_with(|| json!({}))
        .as_object_mut()
    else {
        return;
    };
    let kind = names.get("kind").map(string_or_empty).unwrap_or_default();
    if !kind.is_empty() {
        let is_unset =
            |value: Option<&Value>| value.is_none_or(|v| v.as_str().is_none_or(str::is_empty));
        if is_unset(names.get("singular")) {
            names.insert("singular".into(), kind.to_lowercase().into());
        }
        if is_unset(names.get("listKind")) {
            names.insert("listKind".into(), format!("{kind}List").into());
        }
    }
}

/// Adds the storage version to `status.storedVersions`.
fn record_storage_version(object: &mut Value) {
    let storage = versions::versions_of(object)
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    if let Some(name) = storage
        && let Some(status) = object_field_mut(object, "status")
    {
        let stored = status.entry("storedVersions").or_insert(Value::Null);
        match stored {
            Value::Array(list) if list.contains(&name) => {}
            Value::Array(list) => list.push(name),
            stored => *stored = json!([name]),
        }
    }
}

pub(super) fn prepare_create(object: &mut Value) {
    set_defaults(object);
    if let Some(object) = object.as_object_mut() {
        let status = json!({
            "conditions": null,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": null,
        });
        object.insert("status".into(), status);
    }
    record_storage_version(object);
}

pub(super) fn prepare_update(object: &mut Value, old: &Value) {
    set_defaults(object);
    reset_field(object, old, "status");
    record_storage_version(object);
}

pub(super) fn prepare_status(object: &mut Value, old: &Value) {
    reset_field(object, old, "spec");
}

pub(super) fn validate_create(object: &Value) -> Vec<FieldError> {
    let mut errors = names::validate_approval(object);
    errors.extend(names::validate_object_name(object));
    errors.extend(validate(object));
    errors
}

fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = names::validate(object);
    if spec["preserveUnknownFields"] == true {
        errors.push(invalid("spec.preserveUnknownFields", true, "must be false"));
    }
    errors.extend(versions::validate(object));
    errors.extend(validate_conversion(spec));
    errors.extend(versions::validate_stored_versions(object));
    errors.extend(versions::validate_storage_is_stored(object));
    errors
}

fn validate_conversion(spec: &Value) -> Option<FieldError> {
    let strategy = spec["conversion"]["strategy"].as_str().unwrap_or_default();
    match strategy {
        "None" => None,
        // Accepting it would be wrong, since no webhook would be called.
        "Webhook" => Some(invalid(
            "spec.conversion.strategy",
            strategy,
            "conversion webhooks are not supported: use None",
        )),
        other => Some(super::field_errors::unsupported(
            "spec.conversion.strategy",
            other,
            &["None"],
        )),
    }
}

pub(super) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let is_established = old["status"]["conditions"].as_array().is_some_and(|list| {
        list.iter()
            .any(|c| c["type"] == "Established" && c["status"] == "True")
    });
    let immutable = [
        ("/spec/group", "spec.group", true),
        ("/spec/names/plural", "spec.names.plural", true),
        ("/spec/names/kind", "spec.names.kind", is_established),
        ("/spec/scope", "spec.scope", is_established),
    ];
    let mut errors: Vec<FieldError> = immutable
        .iter()
        .filter(|(pointer, _, is_immutable)| {
            *is_immutable && object.pointer(pointer) != old.pointer(pointer)
        })
        .map(|(pointer, field, _)| {
            invalid(
                *field,
                object
                    .pointer(pointer)
                    .map(string_or_empty)
                    .unwrap_or_default(),
                IMMUTABLE,
            )
        })
        .collect();
    // A definition that is not approved may stay unapproved.
    if names::validate_approval(old).is_empty() {
        errors.extend(names::validate_approval(object));
    }
    errors.extend(validate(object));
    errors
}

pub(super) fn validate_status(object: &Value, _old: &Value) -> Vec<FieldError> {
    versions::validate_stored_versions(object)
}

/// Returns the warnings of the schemas.
pub(super) fn warnings(object: &Value) -> Vec<String> {
    versions::schemas_by_path(object)
        .into_iter()
        .filter_map(|(path, schema)| Some((StructuralSchema::parse_at(&path, schema?).ok()?, path)))
        .flat_map(|(schema, _)| schema.warnings().to_vec())
        .collect()
}

#[cfg(test)]
mod tests;
