//! CustomResourceDefinitions: defaults and rules. What a schema may say is
//! the schema crate's business.

mod names;
mod version_fields;
mod versions;

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::{Value, json};

use super::field_errors::{IMMUTABLE, invalid};
use super::{object_field_mut, reset_field, string_or_empty};

/// Names that are derived from the kind, and the conversion there is.
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
        let unset =
            |value: Option<&Value>| value.is_none_or(|v| v.as_str().is_none_or(str::is_empty));
        if unset(names.get("singular")) {
            names.insert("singular".into(), kind.to_lowercase().into());
        }
        if unset(names.get("listKind")) {
            names.insert("listKind".into(), format!("{kind}List").into());
        }
    }
}

/// Records the storage version among those in which objects may be stored.
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
    errors
}

fn validate_conversion(spec: &Value) -> Option<FieldError> {
    let strategy = spec["conversion"]["strategy"].as_str().unwrap_or_default();
    match strategy {
        "None" => None,
        // A promise that nobody here could keep.
        "Webhook" => Some(invalid(
            "spec.conversion.strategy",
            strategy,
            "this server calls no conversion webhooks: use None",
        )),
        other => Some(super::field_errors::unsupported(
            "spec.conversion.strategy",
            other,
            &["None"],
        )),
    }
}

pub(super) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let established = old["status"]["conditions"].as_array().is_some_and(|list| {
        list.iter()
            .any(|c| c["type"] == "Established" && c["status"] == "True")
    });
    let fixed = [
        ("/spec/group", "spec.group", true),
        ("/spec/names/plural", "spec.names.plural", true),
        ("/spec/names/kind", "spec.names.kind", established),
        ("/spec/scope", "spec.scope", established),
    ];
    let mut errors: Vec<FieldError> = fixed
        .iter()
        .filter(|(pointer, _, fixed)| *fixed && object.pointer(pointer) != old.pointer(pointer))
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
    // A definition that was never approved goes on as it is.
    if names::validate_approval(old).is_empty() {
        errors.extend(names::validate_approval(object));
    }
    errors.extend(validate(object));
    errors
}

pub(super) fn validate_status(object: &Value, _old: &Value) -> Vec<FieldError> {
    versions::validate_stored_versions(object)
}

/// What the schemas warn of.
pub(super) fn warnings(object: &Value) -> Vec<String> {
    versions::schemas_by_path(object)
        .into_iter()
        .filter_map(|(place, schema)| {
            Some((StructuralSchema::parse_at(&place, schema?).ok()?, place))
        })
        .flat_map(|(schema, _)| schema.warnings().to_vec())
        .collect()
}

#[cfg(test)]
mod tests;
