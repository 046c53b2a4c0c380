//! Checks that a schema is structural: every field has a type, and value validation refers to declared fields only.

use super::completeness;
use super::props::SchemaProps;
use crate::error::FieldError;
use crate::path::PathRef;
use crate::pattern;

/// The position of a schema, for error messages.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Checks all requirements of structural schemas; returns the errors, sorted.
pub(super) fn check(props: &SchemaProps<'_>, path: &PathRef<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_structure(props, Level::Root, path, &mut errors);
    completeness::check(props, props, path, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn check_structure(
    props: &SchemaProps<'_>,
    level: Level,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let items = path.field("items");
    if props.schema_type == "array" && props.items.is_none() {
        errors.push(FieldError::required(items, "must be specified"));
    }
    if let Some(item) = props.item() {
        check_structure(item, Level::Item, &items, errors);
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        check_structure(property, Level::Field, &properties.key(name), errors);
    }
    let additional = path.field("additionalProperties");
    if props.additional_properties.is_some() && level == Level::Root {
        errors.push(FieldError::forbidden(
            additional,
            "must not be used at the root",
        ));
    }
    if let Some(schema) = props.additional_schema() {
        check_structure(schema, Level::Field, &additional, errors);
    }
    if props.embedded_resource && props.additional_properties.is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(additional, detail));
    }
    check_extensions(props, path, errors);
    check_value_validation(props, int_or_string_exceptions(props), path, errors);
    check_type(props, level, path, errors);
    check_metadata(props, level, path, errors);
    if props.embedded_resource
        && props.preserve_unknown_fields.is_none()
        && props.properties.is_empty()
    {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(properties, detail));
    }
}

fn check_extensions(props: &SchemaProps<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let is_set = [
        (
            props.preserve_unknown_fields.is_some(),
            "x-kubernetes-preserve-unknown-fields",
        ),
        (props.embedded_resource, "x-kubernetes-embedded-resource"),
    ];
    for (_, keyword) in is_set
        .into_iter()
        .filter(|(is_set, _)| *is_set && props.int_or_string)
    {
        let detail = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(path.field(keyword), true, detail));
    }
}

fn check_type(
    props: &SchemaProps<'_>,
    level: Level,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let field = path.field("type");
    if props.embedded_resource && props.schema_type != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match props.schema_type {
            "" => FieldError::required(field, detail),
            kind => FieldError::invalid(field, kind, detail),
        });
    } else if props.schema_type.is_empty()
        && !props.int_or_string
        && props.preserve_unknown_fields.is_none()
    {
        errors.push(FieldError::required(
            field,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        ));
    }
    if level == Level::Root && !props.schema_type.is_empty() && props.schema_type != "object" {
        errors.push(FieldError::invalid(
            field,
            props.schema_type,
            "must be object at the root",
        ));
    }
}

fn check_metadata(
    props: &SchemaProps<'_>,
    level: Level,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let properties = path.field("properties");
    let is_resource = level == Level::Root || props.embedded_resource;
    for name in ["kind", "apiVersion"].into_iter().filter(|_| is_resource) {
        if let Some(field) = props
            .properties
            .get(name)
            .filter(|field| field.schema_type != "string")
        {
            errors.push(FieldError::invalid(
                properties.key(name).field("type"),
                field.schema_type,
                "must be string",
            ));
        }
    }
    let Some(metadata) = props.properties.get("metadata") else {
        return;
    };
    let field = properties.key("metadata");
    if is_resource && metadata.schema_type != "object" {
        errors.push(FieldError::invalid(
            field.field("type"),
            metadata.schema_type,
            "must be object",
        ));
    }
    if level == Level::Root && has_more_than_names(metadata) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(field, detail));
    }
}

/// Whether a schema of the root's metadata has keywords beyond its type and the properties `name` and `generateName`.
fn has_more_than_names(metadata: &SchemaProps<'_>) -> bool {
    let has_names_only = metadata
        .properties
        .keys()
        .all(|name| ["name", "generateName"].contains(name));
    let is_undocumented =
        metadata.description.is_empty() && metadata.title.is_empty() && !metadata.nullable;
    let is_open = metadata.additional_properties.is_none() && metadata.items.is_none();
    let has_no_extensions = metadata.preserve_unknown_fields.is_none()
        && !metadata.embedded_resource
        && !metadata.int_or_string
        && metadata.list_map_keys.is_empty()
        && metadata.list_type.is_none()
        && metadata.map_type.is_none()
        && metadata.rules.is_empty();
    !(has_names_only
        && is_undocumented
        && is_open
        && has_no_extensions
        && is_validation_empty(metadata))
}

fn is_validation_empty(props: &SchemaProps<'_>) -> bool {
    let lists = [&props.all_of, &props.any_of, &props.one_of];
    let integers = [
        props.max_length,
        props.min_length,
        props.max_items,
        props.min_items,
        props.max_properties,
        props.min_properties,
    ];
    let numbers = [props.maximum, props.minimum, props.multiple_of];
    props.format.is_empty()
        && props.pattern.is_empty()
        && !props.exclusive_maximum
        && !props.exclusive_minimum
        && !props.unique_items
        && props.enum_values.is_empty()
        && props.required.is_empty()
        && props.not.is_none()
        && lists.iter().all(|list| list.is_empty())
        && integers.iter().all(Option::is_none)
        && numbers.iter().all(Option::is_none)
}

/// Where the value validation of an int-or-string schema lists its two types, which is allowed.
#[derive(Clone, Copy, Default)]
struct IntOrStringExceptions {
    any_of: bool,
    first_all_of: bool,
}

fn int_or_string_exceptions(props: &SchemaProps<'_>) -> IntOrStringExceptions {
    IntOrStringExceptions {
        any_of: is_int_or_string(&props.any_of),
        first_all_of: props
            .all_of
            .first()
            .is_some_and(|first| is_int_or_string(&first.any_of)),
    }
}

fn is_int_or_string(any_of: &[SchemaProps<'_>]) -> bool {
    let only_type = |props: &SchemaProps<'_>, kind: &str| {
        props.schema_type == kind
            && !has_more_than_names(props)
            && props.properties.is_empty()
            && props.default.is_none()
    };
    matches!(any_of, [first, second] if only_type(first, "integer") && only_type(second, "string"))
}

fn check_value_validation(
    props: &SchemaProps<'_>,
    skip: IntOrStringExceptions,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    let any_of = path.field("anyOf");
    for (index, schema) in props.any_of.iter().enumerate().filter(|_| !skip.any_of) {
        check_nested(
            schema,
            IntOrStringExceptions::default(),
            &any_of.index(index),
            errors,
        );
    }
    let all_of = path.field("allOf");
    for (index, schema) in props.all_of.iter().enumerate() {
        let skip = IntOrStringExceptions {
            any_of: skip.first_all_of && index == 0,
            first_all_of: false,
        };
        check_nested(schema, skip, &all_of.index(index), errors);
    }
    let one_of = path.field("oneOf");
    for (index, schema) in props.one_of.iter().enumerate() {
        check_nested(
            schema,
            IntOrStringExceptions::default(),
            &one_of.index(index),
            errors,
        );
    }
    if let Some(not) = &props.not {
        check_nested(
            not,
            IntOrStringExceptions::default(),
            &path.field("not"),
            errors,
        );
    }
    if let Err(error) = pattern::compile_optional(props.pattern) {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(FieldError::invalid(
            path.field("pattern"),
            props.pattern,
            detail,
        ));
    }
}

fn check_nested(
    props: &SchemaProps<'_>,
    skip: IntOrStringExceptions,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_value_validation(props, skip, path, errors);
    if let Some(item) = props.item() {
        check_nested(
            item,
            IntOrStringExceptions::default(),
            &path.field("items"),
            errors,
        );
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        check_nested(
            property,
            IntOrStringExceptions::default(),
            &properties.key(name),
            errors,
        );
    }
    let forbidden = [
        (!props.schema_type.is_empty(), "type", "empty"),
        (
            props.additional_properties.is_some(),
            "additionalProperties",
            "undefined",
        ),
        (props.default.is_some(), "default", "undefined"),
        (!props.title.is_empty(), "title", "empty"),
        (!props.description.is_empty(), "description", "empty"),
        (props.nullable, "nullable", "false"),
        (props.external_docs, "externalDocs", "undefined"),
        (
            props.preserve_unknown_fields.is_some(),
            "x-kubernetes-preserve-unknown-fields",
            "false",
        ),
        (
            props.embedded_resource,
            "x-kubernetes-embedded-resource",
            "false",
        ),
        (props.int_or_string, "x-kubernetes-int-or-string", "false"),
        (
            !props.list_map_keys.is_empty(),
            "x-kubernetes-list-map-keys",
            "empty",
        ),
        (
            props.list_type.is_some(),
            "x-kubernetes-list-type",
            "undefined",
        ),
        (
            props.map_type.is_some(),
            "x-kubernetes-map-type",
            "undefined",
        ),
        (!props.rules.is_empty(), "x-kubernetes-validations", "empty"),
    ];
    for (_, keyword, instead) in forbidden.into_iter().filter(|(is_set, ..)| *is_set) {
        errors.push(FieldError::forbidden(
            path.field(keyword),
            format!("must be {instead} to be structural"),
        ));
    }
    if props.properties.contains_key("metadata") {
        errors.push(FieldError::forbidden(
            properties.key("metadata"),
            "must not be specified in a nested context",
        ));
    }
}
