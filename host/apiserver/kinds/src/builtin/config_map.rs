//! The strategy of ConfigMaps.

use rdd_apiserver_schema::FieldError;
use serde_json::Value;

use super::field_errors::{IMMUTABLE_WHEN_SET, forbidden, invalid, invalid_for_each, too_long};
use rdd_apiserver_schema::names;

/// The maximum size of all values of a ConfigMap or Secret, in bytes, so that one
/// object cannot fill the storage. Upstream's limit.
pub(super) const MAX_DATA_BYTES: usize = 1 << 20;

/// The field path of the object itself, as upstream formats it.
const OBJECT_PATH: &str = "[]";

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (field, value) in entries(&object["data"]) {
        let path = format!("data[{field}]");
        errors.extend(invalid_for_each(
            &path,
            field,
            names::validate_config_key(field),
        ));
        if object["binaryData"].get(field).is_some() {
            errors.push(invalid(
                path,
                field,
                "duplicate of key present in binaryData",
            ));
        }
        size += value.len();
    }
    for (field, value) in entries(&object["binaryData"]) {
        errors.extend(invalid_for_each(
            &format!("binaryData[{field}]"),
            field,
            names::validate_config_key(field),
        ));
        size += decoded_bytes(value);
    }
    if size > MAX_DATA_BYTES {
        errors.push(too_long(OBJECT_PATH, MAX_DATA_BYTES));
    }
    errors
}

pub(super) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = validate_immutable(object, old, &["data", "binaryData"]);
    errors.extend(validate(object));
    errors
}

/// Returns an error for each protected field that an update of an immutable
/// object changes.
pub(super) fn validate_immutable(object: &Value, old: &Value, fields: &[&str]) -> Vec<FieldError> {
    if old["immutable"] != true {
        return Vec::new();
    }
    let is_immutable = object["immutable"] == true;
    let flag = (!is_immutable).then(|| forbidden("immutable", IMMUTABLE_WHEN_SET));
    let changed = fields
        .iter()
        .filter(|field| object.get(**field) != old.get(**field));
    flag.into_iter()
        .chain(changed.map(|field| forbidden(*field, IMMUTABLE_WHEN_SET)))
        .collect()
}

/// Returns the entries of a string map.
pub(super) fn entries(map: &Value) -> impl Iterator<Item = (&str, &str)> {
    map.as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// Returns the number of bytes that a padded base64 string encodes.
pub(super) fn decoded_bytes(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|b| *b == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(errors: Vec<FieldError>) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_are_valid_config_keys_and_unique_across_both_maps() {
        let errors = texts(validate(
            &json!({"data": {"a b": "", "c": ""}, "binaryData": {"c": "", "/": ""}}),
        ));
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(
            errors[0].starts_with("data[a b]: Invalid value: \"a b\": a valid config key must")
        );
        assert_eq!(
            errors[1],
            "data[c]: Invalid value: \"c\": duplicate of key present in binaryData"
        );
        assert!(errors[2].starts_with("binaryData[/]: Invalid value: \"/\""));
    }

    #[test]
    fn both_maps_count_toward_one_limit() {
        let half = "x".repeat(MAX_DATA_BYTES / 2);
        // Four base64 characters encode three bytes.
        let binary = "A".repeat(MAX_DATA_BYTES / 2 / 3 * 4);
        let mut object = json!({"data": {"a": half}, "binaryData": {"b": binary}});
        assert_eq!(texts(validate(&object)), Vec::<String>::new());
        object["data"]["c"] = "xxxxxx".into();
        assert_eq!(
            texts(validate(&object)),
            ["[]: Too long: may not be more than 1048576 bytes"]
        );
    }

    #[test]
    fn an_immutable_config_map_keeps_its_data_but_not_its_labels() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let same =
            json!({"immutable": true, "data": {"a": "1"}, "metadata": {"labels": {"x": "y"}}});
        assert_eq!(texts(validate_update(&same, &old)), Vec::<String>::new());
        let other = json!({"immutable": false, "data": {"a": "2"}, "binaryData": {"b": ""}});
        let expected: Vec<String> = ["immutable", "data", "binaryData"]
            .iter()
            .map(|f| format!("{f}: Forbidden: field is immutable when `immutable` is set"))
            .collect();
        assert_eq!(texts(validate_update(&other, &old)), expected);
    }
}
