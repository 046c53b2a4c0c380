//! Validation of a definition's versions.

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::Value;

use super::super::field_errors::{invalid, invalid_for_each, required};
use super::super::string_or_empty;
use super::version_fields;
use rdd_apiserver_schema::names::validate_dns_1035_label;

/// Returns `spec.versions`.
pub(super) fn versions_of(object: &Value) -> &[Value] {
    object["spec"]["versions"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// Returns the values of a version's field, each with the path for errors about it.
/// If all versions have the same value, returns it once, with the path
/// `spec.{shared}`, as upstream.
fn fields_by_path<'o>(
    object: &'o Value,
    field: &str,
    shared: &str,
) -> Vec<(String, Option<&'o Value>)> {
    let versions = versions_of(object);
    let first = versions.first().and_then(|version| version.get(field));
    if versions.iter().all(|version| version.get(field) == first) {
        return vec![(format!("spec.{shared}"), first)];
    }
    versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            (
                format!("spec.versions[{index}].{field}"),
                version.get(field),
            )
        })
        .collect()
}

/// Returns the schemas, each with the path for errors about it; `None` for a version
/// without a schema.
pub(super) fn schemas_by_path(object: &Value) -> Vec<(String, Option<&Value>)> {
    fields_by_path(object, "schema", "validation")
        .into_iter()
        .map(|(path, schema)| {
            (
                format!("{path}.openAPIV3Schema"),
                schema.and_then(|schema| schema.get("openAPIV3Schema")),
            )
        })
        .collect()
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.versions";
    let versions = versions_of(object);
    let mut errors = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let name = string_or_empty(&version["name"]);
        errors.extend(invalid_for_each(
            &format!("{FIELD}[{index}].name"),
            &name,
            validate_dns_1035_label(&name),
        ));
        let warning = string_or_empty(&version["deprecationWarning"]);
        if !warning.is_empty() && version["deprecated"] != true {
            let detail = "can only be set for deprecated versions";
            errors.push(invalid(
                format!("{FIELD}[{index}].deprecationWarning"),
                warning,
                detail,
            ));
        }
    }
    let value = || object["spec"]["versions"].clone();
    if versions
        .iter()
        .enumerate()
        .any(|(i, v)| versions.iter().take(i).any(|w| w["name"] == v["name"]))
    {
        errors.push(invalid(FIELD, value(), "must contain unique version names"));
    }
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        errors.push(invalid(
            FIELD,
            value(),
            "must have exactly one version marked as storage version",
        ));
    }
    if versions.is_empty() {
        return errors;
    }
    for (index, version) in versions.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            let field = format!("{FIELD}[{index}].schema.openAPIV3Schema");
            errors.push(required(field, ""));
        }
    }
    for (path, schema) in schemas_by_path(object) {
        if let Some(Err(found)) = schema.map(|schema| StructuralSchema::parse_at(&path, schema)) {
            errors.extend(found);
        }
    }
    for (path, subresources) in fields_by_path(object, "subresources", "subresources") {
        errors.extend(
            subresources
                .into_iter()
                .flat_map(|value| version_fields::validate_subresources(&path, value)),
        );
    }
    for (path, columns) in fields_by_path(
        object,
        "additionalPrinterColumns",
        "additionalPrinterColumns",
    ) {
        errors.extend(
            columns
                .into_iter()
                .flat_map(|value| version_fields::validate_printer_columns(&path, value)),
        );
    }
    errors.extend(validate_selectable_fields(object));
    errors
}

/// Validates selectable fields against the schema of their version.
fn validate_selectable_fields(object: &Value) -> Vec<FieldError> {
    let versions = versions_of(object);
    fields_by_path(object, "selectableFields", "selectableFields")
        .into_iter()
        .zip(versions)
        .flat_map(|((path, fields), version)| {
            let schema = &version["schema"]["openAPIV3Schema"];
            fields
                .map(|fields| version_fields::validate_selectable_fields(&path, fields, schema))
                .unwrap_or_default()
        })
        .collect()
}

const STORED_VERSIONS: &str = "status.storedVersions";

/// Validates `status.storedVersions`: a version cannot be removed while objects may
/// be stored in it.
pub(super) fn validate_stored_versions(object: &Value) -> Vec<FieldError> {
    let value = &object["status"]["storedVersions"];
    let stored = value.as_array().map_or(&[][..], Vec::as_slice);
    if stored.is_empty() {
        return vec![invalid(
            STORED_VERSIONS,
            value.clone(),
            "must have at least one stored version",
        )];
    }
    let mut errors = Vec::new();
    let versions = versions_of(object);
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let name = string_or_empty(name);
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.push(invalid(
                format!("{STORED_VERSIONS}[{index}]"),
                name,
                &detail,
            ));
        }
    }
    errors
}

/// Validates that `status.storedVersions` has the storage version. Writes of the
/// status may remove it, as in kube-apiserver; the next write of the definition adds
/// it again.
pub(super) fn validate_storage_is_stored(object: &Value) -> Vec<FieldError> {
    let value = &object["status"]["storedVersions"];
    let stored = value.as_array().map_or(&[][..], Vec::as_slice);
    let mut errors = Vec::new();
    let versions = versions_of(object);
    let storage = versions.iter().find(|version| version["storage"] == true);
    if let Some(storage) = storage.map(|version| &version["name"])
        && !stored.contains(storage)
    {
        let detail = format!("must have the storage version {}", string_or_empty(storage));
        errors.push(invalid(STORED_VERSIONS, value.clone(), &detail));
    }
    errors
}
