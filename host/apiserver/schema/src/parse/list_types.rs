//! Checks `x-kubernetes-list-type` and `x-kubernetes-map-type`: where they are allowed, and what they require of items.

use serde_json::Value;

use super::props::SchemaProps;
use crate::error::FieldError;
use crate::path::PathRef;

/// Reports an error unless the schema has type `expected`; returns whether it has.
fn require_type(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
    expected: &str,
    condition: &str,
    errors: &mut Vec<FieldError>,
) -> bool {
    let field = path.field("type");
    let detail = format!("must be {expected} if {condition}");
    if props.schema_type.is_empty() {
        errors.push(FieldError::required(field, detail));
    } else if props.schema_type != expected {
        errors.push(FieldError::invalid(field, props.schema_type, detail));
    }
    props.schema_type == expected
}

/// Checks the list and map types of one schema.
pub(super) fn check(props: &SchemaProps<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    if let Some(map_type) = props.map_type {
        require_type(
            props,
            path,
            "object",
            "x-kubernetes-map-type is specified",
            errors,
        );
        if !["atomic", "granular"].contains(&map_type) {
            let field = path.field("x-kubernetes-map-type");
            errors.push(FieldError::unsupported(
                field,
                map_type,
                &["atomic", "granular"],
            ));
        }
    }
    let field = path.field("x-kubernetes-list-type");
    if !props.list_map_keys.is_empty() && props.list_type != Some("map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(match props.list_type {
            None => FieldError::required(field, detail),
            Some(other) => FieldError::invalid(field, other, detail),
        });
    }
    let Some(list_type) = props.list_type else {
        return;
    };
    let is_list = require_type(
        props,
        path,
        "array",
        "x-kubernetes-list-type is specified",
        errors,
    );
    if !["atomic", "set", "map"].contains(&list_type) {
        errors.push(FieldError::unsupported(
            field,
            list_type,
            &["atomic", "set", "map"],
        ));
    }
    let items = path.field("items");
    if let Some(item) = props.item().filter(|_| list_type == "set" && is_list) {
        check_set_item(item, &items, errors);
    }
    if list_type == "map" {
        check_map_list(props, path, errors);
    }
    if props.item().is_some_and(|item| item.nullable) && ["set", "map"].contains(&list_type) {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(FieldError::forbidden(items.field("nullable"), detail));
    }
}

fn check_set_item(item: &SchemaProps<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    // Upstream shows the item's list type in both cases.
    let bad_value = item.list_type.map_or(Value::Null, Value::from);
    if item.schema_type == "array"
        && item
            .list_type
            .is_some_and(|list_type| list_type != "atomic")
    {
        errors.push(FieldError::invalid(
            path.field("x-kubernetes-list-type"),
            bad_value,
            detail,
        ));
    } else if item.schema_type == "object" && item.map_type != Some("atomic") {
        errors.push(FieldError::invalid(
            path.field("x-kubernetes-map-type"),
            bad_value,
            detail,
        ));
    }
}

fn check_map_list(props: &SchemaProps<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let keys_field = path.field("x-kubernetes-list-map-keys");
    let items = path.field("items");
    if props.list_map_keys.is_empty() {
        errors.push(FieldError::required(
            keys_field,
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
    let Some(item) = props.item() else {
        if props.items.is_none() {
            errors.push(FieldError::required(
                items,
                "must have a schema if x-kubernetes-list-type is map",
            ));
        }
        return;
    };
    if item.schema_type != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(
            items.field("type"),
            item.schema_type,
            detail,
        ));
        return;
    }
    let properties = items.field("properties");
    let bad_value = || Value::from(props.list_map_keys.clone());
    for (index, &key) in props.list_map_keys.iter().enumerate() {
        if props
            .list_map_keys
            .iter()
            .take(index)
            .any(|&earlier| earlier == key)
        {
            errors.push(FieldError::invalid(
                keys_field,
                bad_value(),
                "must not contain duplicate entries",
            ));
        }
        let Some(property) = item.properties.get(key) else {
            errors.push(FieldError::invalid(
                keys_field,
                bad_value(),
                "entries must all be names of item properties",
            ));
            continue;
        };
        let field = properties.key(key);
        if property.schema_type == "array" || property.schema_type == "object" {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(
                field.field("type"),
                item.schema_type,
                detail,
            ));
        }
        let in_keys = "this property is in x-kubernetes-list-map-keys, so it";
        if !item.required.contains(&key) && property.default.is_none_or(Value::is_null) {
            let detail = format!("{in_keys} must have a default or be a required property");
            errors.push(FieldError::required(field.field("default"), detail));
        }
        if property.nullable {
            errors.push(FieldError::forbidden(
                field.field("nullable"),
                format!("{in_keys} cannot be nullable"),
            ));
        }
    }
}
