//! Validation of a version's subresources, printer columns, and selectable
//! fields.

use rdd_apiserver_schema::{FieldError, FieldErrorKind};
use serde_json::Value;

use super::super::field_errors::{duplicate, invalid, required};
use super::super::string_or_empty;
use crate::table::JsonPath;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];
/// The maximum number of selectable fields of one version, since each has a cost
/// in every list. Upstream's limit.
const MAX_SELECTABLE_FIELDS: usize = 8;
/// Types whose values a field selector can compare.
const SELECTABLE_TYPES: [&str; 3] = ["string", "boolean", "integer"];

/// Returns an error if a path is not in dot notation.
fn validate_simple_path(field: &str, path: &str) -> Option<FieldError> {
    if path.is_empty() {
        Some(invalid(field, path, "must not be empty"))
    } else if !path.starts_with('.') {
        Some(invalid(
            field,
            path,
            "must be a simple json path starting with .",
        ))
    } else {
        None
    }
}

pub(super) fn validate_subresources(parent: &str, subresources: &Value) -> Vec<FieldError> {
    let Some(scale) = subresources.get("scale").filter(|scale| scale.is_object()) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    for (name, is_required, prefixes, detail) in [
        (
            "specReplicasPath",
            true,
            &[".spec."][..],
            "should be a json path under .spec",
        ),
        (
            "statusReplicasPath",
            true,
            &[".status."],
            "should be a json path under .status",
        ),
        (
            "labelSelectorPath",
            false,
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ] {
        let field = format!("{parent}.scale.{name}");
        let path = string_or_empty(&scale[name]);
        if path.is_empty() {
            errors.extend(is_required.then(|| required(field, "")));
        } else if let Some(error) = validate_simple_path(&field, &path) {
            errors.push(error);
        } else if !prefixes.iter().any(|prefix| path.starts_with(prefix)) {
            errors.push(invalid(field, path, detail));
        }
    }
    errors
}

pub(super) fn validate_printer_columns(parent: &str, columns: &Value) -> Vec<FieldError> {
    let columns = columns.as_array().into_iter().flatten();
    columns
        .enumerate()
        .flat_map(|(index, column)| validate_printer_column(&format!("{parent}[{index}]"), column))
        .collect()
}

fn validate_printer_column(parent: &str, column: &Value) -> Vec<FieldError> {
    let [name, kind, format, path] =
        ["name", "type", "format", "jsonPath"].map(|field| string_or_empty(&column[field]));
    let mut errors = Vec::new();
    if name.is_empty() {
        errors.push(required(format!("{parent}.name"), ""));
    }
    let types = format!("must be one of {}", COLUMN_TYPES.join(","));
    if kind.is_empty() {
        errors.push(required(format!("{parent}.type"), &types));
    } else if !COLUMN_TYPES.contains(&kind.as_str()) {
        errors.push(invalid(format!("{parent}.type"), kind, &types));
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format.as_str()) {
        let detail = format!("must be one of {}", COLUMN_FORMATS.join(","));
        errors.push(invalid(format!("{parent}.format"), format, &detail));
    }
    let field = format!("{parent}.jsonPath");
    if path.is_empty() {
        errors.push(required(field, ""));
    } else if let Some(error) = validate_simple_path(&field, &path) {
        errors.push(error);
    } else if let Err(error) = JsonPath::compile(&path) {
        errors.push(invalid(field, path, &error.to_string()));
    }
    errors
}

pub(super) fn validate_selectable_fields(
    parent: &str,
    fields: &Value,
    schema: &Value,
) -> Vec<FieldError> {
    let fields = fields.as_array().map_or(&[][..], Vec::as_slice);
    let mut errors = Vec::new();
    if fields.len() > MAX_SELECTABLE_FIELDS {
        errors.push(FieldError {
            kind: FieldErrorKind::TooMany,
            field: parent.into(),
            bad_value: None,
            detail: format!(
                "{}: must have at most {MAX_SELECTABLE_FIELDS} items",
                fields.len()
            ),
        });
    }
    for (index, field) in fields.iter().enumerate() {
        let field_path = format!("{parent}[{index}].jsonPath");
        let path = string_or_empty(&field["jsonPath"]);
        if path.is_empty() {
            errors.push(required(field_path, ""));
        } else if fields.iter().take(index).any(|earlier| earlier == field) {
            errors.push(duplicate(field_path, path));
        } else if let Some(detail) = selectable_field_problem(&path, schema) {
            errors.push(invalid(field_path, path, detail));
        }
    }
    errors
}

/// Returns why a path cannot be used in field selectors.
fn selectable_field_problem(path: &str, schema: &Value) -> Option<&'static str> {
    const NOT_A_FIELD: &str = "is an invalid path: does not refer to a valid field";
    let Some(dotted) = path.strip_prefix('.') else {
        return Some("is an invalid path: must start with a dot");
    };
    if dotted == "metadata" || dotted.starts_with("metadata.") {
        return Some("must not point to fields in metadata");
    }
    let mut schema = schema;
    for name in dotted.split('.') {
        match schema["properties"].get(name) {
            Some(inner) => schema = inner,
            None => return Some(NOT_A_FIELD),
        }
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    (!SELECTABLE_TYPES.contains(&kind))
        .then_some("must point to a field of type string, boolean or integer")
}
