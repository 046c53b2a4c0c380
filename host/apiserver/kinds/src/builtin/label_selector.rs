//! Validation of label selectors in objects.

use rdd_apiserver_schema::FieldError;
use rdd_apiserver_schema::names::{validate_label_value, validate_qualified_name};
use serde_json::Value;

use super::field_errors::{forbidden, invalid, invalid_for_each, required};
use super::string_or_empty;

/// Validates a `LabelSelector`. One that is absent is valid.
pub(super) fn validate(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        let (field, value) = (format!("{path}.matchLabels"), string_or_empty(value));
        errors.extend(invalid_for_each(&field, key, validate_qualified_name(key)));
        let messages = validate_label_value(&value);
        errors.extend(invalid_for_each(&field, &value, messages));
    }
    let requirements = selector["matchExpressions"].as_array();
    for (index, requirement) in requirements.into_iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        errors.extend(validate_requirement(requirement, &path));
    }
    errors
}

fn validate_requirement(requirement: &Value, path: &str) -> Vec<FieldError> {
    let values = requirement["values"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let values_field = format!("{path}.values");
    let mut errors = Vec::new();
    match string_or_empty(&requirement["operator"]).as_str() {
        "In" | "NotIn" if values.is_empty() => errors.push(required(
            &values_field,
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "In" | "NotIn" => {}
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(forbidden(
            &values_field,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "Exists" | "DoesNotExist" => {}
        operator => errors.push(invalid(
            format!("{path}.operator"),
            operator,
            "not a valid selector operator",
        )),
    }
    let key = string_or_empty(&requirement["key"]);
    let messages = validate_qualified_name(&key);
    errors.extend(invalid_for_each(&format!("{path}.key"), &key, messages));
    for (index, value) in values.iter().enumerate() {
        let value = string_or_empty(value);
        let messages = validate_label_value(&value);
        errors.extend(invalid_for_each(
            &format!("{values_field}[{index}]"),
            &value,
            messages,
        ));
    }
    errors
}
