//! The versions of a definition: which are served and stored, and what each
//! says of its objects.

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::Value;

use super::super::field_errors::{invalid, invalid_for_each, required};
use super::super::string_or_empty;
use super::version_fields;
use rdd_apiserver_schema::names::dns_1035_label;

/// `spec.versions`.
pub(super) fn versions_of(object: &Value) -> &[Value] {
    object["spec"]["versions"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// Where errors about a field of the versions are reported: what all versions
/// have in common is spoken of once, by the name `shared`.
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

/// The schemas, each with the place by which errors name it; `None` for a
/// version without one.
pub(super) fn schemas_by_path(object: &Value) -> Vec<(String, Option<&Value>)> {
    fields_by_path(object, "schema", "validation")
        .into_iter()
        .map(|(place, schema)| {
            (
                format!("{place}.openAPIV3Schema"),
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
            dns_1035_label(&name),
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
    for (place, schema) in schemas_by_path(object) {
        match schema.map(|schema| StructuralSchema::parse_at(&place, schema)) {
            None => errors.push(required(place, "schemas are required")),
            Some(Err(found)) => errors.extend(found),
            Some(Ok(_)) => {}
        }
    }
    for (place, subresources) in fields_by_path(object, "subresources", "subresources") {
        errors.extend(
            subresources
                .into_iter()
                .flat_map(|value| version_fields::validate_subresources(&place, value)),
        );
    }
    for (place, columns) in fields_by_path(
        object,
        "additionalPrinterColumns",
        "additionalPrinterColumns",
    ) {
        errors.extend(
            columns
                .into_iter()
                .flat_map(|value| version_fields::validate_printer_columns(&place, value)),
        );
    }
    errors.extend(selectable_fields(object));
    errors
}

/// Selectable fields are judged by the schema of their own version.
fn selectable_fields(object: &Value) -> Vec<FieldError> {
    let versions = versions_of(object);
    fields_by_path(object, "selectableFields", "selectableFields")
        .into_iter()
        .zip(versions)
        .flat_map(|((place, fields), version)| {
            let schema = &version["schema"]["openAPIV3Schema"];
            fields
                .map(|fields| version_fields::validate_selectable_fields(&place, fields, schema))
                .unwrap_or_default()
        })
        .collect()
}

/// `status.storedVersions`: none of them can go while objects may be stored
/// in it.
pub(super) fn validate_stored_versions(object: &Value) -> Vec<FieldError> {
    const FIELD: &str = "status.storedVersions";
    let value = &object["status"]["storedVersions"];
    let stored = value.as_array().map_or(&[][..], Vec::as_slice);
    if stored.is_empty() {
        return vec![invalid(
            FIELD,
            value.clone(),
            "must have at least one stored version",
        )];
    }
    let mut errors = Vec::new();
    let versions = versions_of(object);
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let shown = string_or_empty(name);
            let detail = format!(
                "missing from spec.versions; {shown} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {shown} and removes {shown} from status.storedVersions"
            );
            errors.push(invalid(format!("{FIELD}[{index}]"), shown, &detail));
        }
    }
    let storage = versions.iter().find(|version| version["storage"] == true);
    if let Some(storage) = storage.map(|version| &version["name"])
        && !stored.contains(storage)
    {
        let detail = format!("must have the storage version {}", string_or_empty(storage));
        errors.push(invalid(FIELD, value.clone(), &detail));
    }
    errors
}
