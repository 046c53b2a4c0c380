//! What makes a schema structural: types everywhere, and value validation that only speaks of declared fields.

use super::props::Props;
use crate::error::FieldError;
use crate::path::Path;
use crate::pattern;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// All rules for structural schemas; the errors are sorted.
pub(super) fn check(props: &Props<'_>, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    structure(props, Level::Root, path, &mut errors);
    completeness(props, props, path, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn structure(props: &Props<'_>, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let items = path.field("items");
    if props.kind == "array" && props.items.is_none() {
        errors.push(FieldError::required(items, "must be specified"));
    }
    if let Some(item) = props.item() {
        structure(item, Level::Item, &items, errors);
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        structure(property, Level::Field, &properties.key(name), errors);
    }
    let additional = path.field("additionalProperties");
    if props.additional.is_some() && level == Level::Root {
        errors.push(FieldError::forbidden(
            additional,
            "must not be used at the root",
        ));
    }
    if let Some(schema) = props.additional_schema() {
        structure(schema, Level::Field, &additional, errors);
    }
    if props.embedded && props.additional.is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(additional, detail));
    }
    exclusive_extensions(props, path, errors);
    value_validation(props, exceptions(props), path, errors);
    type_rules(props, level, path, errors);
    metadata_rules(props, level, path, errors);
    if props.embedded && props.preserve_unknown.is_none() && props.properties.is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(properties, detail));
    }
}

fn exclusive_extensions(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = [
        (
            props.preserve_unknown.is_some(),
            "x-kubernetes-preserve-unknown-fields",
        ),
        (props.embedded, "x-kubernetes-embedded-resource"),
    ];
    for (_, keyword) in given
        .into_iter()
        .filter(|(given, _)| *given && props.int_or_string)
    {
        let detail = "must be false if x-kubernetes-int-or-string is true";
        errors.push(FieldError::invalid(path.field(keyword), true, detail));
    }
}

fn type_rules(props: &Props<'_>, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let field = path.field("type");
    if props.embedded && props.kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match props.kind {
            "" => FieldError::required(field, detail),
            kind => FieldError::invalid(field, kind, detail),
        });
    } else if props.kind.is_empty() && !props.int_or_string && props.preserve_unknown.is_none() {
        errors.push(FieldError::required(
            field,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        ));
    }
    if level == Level::Root && !props.kind.is_empty() && props.kind != "object" {
        errors.push(FieldError::invalid(
            field,
            props.kind,
            "must be object at the root",
        ));
    }
}

fn metadata_rules(props: &Props<'_>, level: Level, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let properties = path.field("properties");
    let resource = level == Level::Root || props.embedded;
    for name in ["kind", "apiVersion"].into_iter().filter(|_| resource) {
        if let Some(field) = props
            .properties
            .get(name)
            .filter(|field| field.kind != "string")
        {
            errors.push(FieldError::invalid(
                properties.key(name).field("type"),
                field.kind,
                "must be string",
            ));
        }
    }
    let Some(metadata) = props.properties.get("metadata") else {
        return;
    };
    let field = properties.key("metadata");
    if resource && metadata.kind != "object" {
        errors.push(FieldError::invalid(
            field.field("type"),
            metadata.kind,
            "must be object",
        ));
    }
    if level == Level::Root && restricts_more_than_names(metadata) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(field, detail));
    }
}

/// Whether a schema for the root's metadata says anything beyond its type, name and generateName.
fn restricts_more_than_names(metadata: &Props<'_>) -> bool {
    let names_only = metadata
        .properties
        .keys()
        .all(|name| ["name", "generateName"].contains(name));
    let silent = metadata.description.is_empty() && metadata.title.is_empty() && !metadata.nullable;
    let open = metadata.additional.is_none() && metadata.items.is_none();
    let no_extensions = metadata.preserve_unknown.is_none()
        && !metadata.embedded
        && !metadata.int_or_string
        && metadata.list_map_keys.is_empty()
        && metadata.list_type.is_none()
        && metadata.map_type.is_none()
        && metadata.rules.is_empty();
    !(names_only && silent && open && no_extensions && validates_nothing(metadata))
}

fn validates_nothing(props: &Props<'_>) -> bool {
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
        && props.allowed.is_empty()
        && props.required.is_empty()
        && props.not.is_none()
        && lists.iter().all(|list| list.is_empty())
        && integers.iter().all(Option::is_none)
        && numbers.iter().all(Option::is_none)
}

/// Where int-or-string may name its two types in value validation.
#[derive(Clone, Copy, Default)]
struct Exceptions {
    any_of: bool,
    first_all_of: bool,
}

fn exceptions(props: &Props<'_>) -> Exceptions {
    Exceptions {
        any_of: names_int_and_string(&props.any_of),
        first_all_of: props
            .all_of
            .first()
            .is_some_and(|first| names_int_and_string(&first.any_of)),
    }
}

fn names_int_and_string(any_of: &[Props<'_>]) -> bool {
    let only_type = |props: &Props<'_>, kind: &str| {
        props.kind == kind
            && !restricts_more_than_names(props)
            && props.properties.is_empty()
            && props.default.is_none()
    };
    matches!(any_of, [first, second] if only_type(first, "integer") && only_type(second, "string"))
}

fn value_validation(
    props: &Props<'_>,
    skip: Exceptions,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let any_of = path.field("anyOf");
    for (index, schema) in props.any_of.iter().enumerate().filter(|_| !skip.any_of) {
        nested(schema, Exceptions::default(), &any_of.index(index), errors);
    }
    let all_of = path.field("allOf");
    for (index, schema) in props.all_of.iter().enumerate() {
        let skip = Exceptions {
            any_of: skip.first_all_of && index == 0,
            first_all_of: false,
        };
        nested(schema, skip, &all_of.index(index), errors);
    }
    let one_of = path.field("oneOf");
    for (index, schema) in props.one_of.iter().enumerate() {
        nested(schema, Exceptions::default(), &one_of.index(index), errors);
    }
    if let Some(not) = &props.not {
        nested(not, Exceptions::default(), &path.field("not"), errors);
    }
    if let Err(problem) = pattern::compile(props.pattern) {
        let detail = format!("must be a valid regular expression, but isn't: {problem}");
        errors.push(FieldError::invalid(
            path.field("pattern"),
            props.pattern,
            detail,
        ));
    }
}

fn nested(props: &Props<'_>, skip: Exceptions, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    value_validation(props, skip, path, errors);
    if let Some(item) = props.item() {
        nested(item, Exceptions::default(), &path.field("items"), errors);
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        nested(
            property,
            Exceptions::default(),
            &properties.key(name),
            errors,
        );
    }
    let forbidden = [
        (!props.kind.is_empty(), "type", "empty"),
        (
            props.additional.is_some(),
            "additionalProperties",
            "undefined",
        ),
        (props.default.is_some(), "default", "undefined"),
        (!props.title.is_empty(), "title", "empty"),
        (!props.description.is_empty(), "description", "empty"),
        (props.nullable, "nullable", "false"),
        (props.external_docs, "externalDocs", "undefined"),
        (
            props.preserve_unknown.is_some(),
            "x-kubernetes-preserve-unknown-fields",
            "false",
        ),
        (props.embedded, "x-kubernetes-embedded-resource", "false"),
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
    for (_, keyword, instead) in forbidden.into_iter().filter(|(given, ..)| *given) {
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

/// Whatever value validation names must be declared in the structure.
fn completeness(
    validation: &Props<'_>,
    structure: &Props<'_>,
    structure_path: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(not) = &validation.not {
        nested_completeness(not, structure, structure_path, &path.field("not"), errors);
    }
    for (keyword, schemas) in [
        ("allOf", &validation.all_of),
        ("anyOf", &validation.any_of),
        ("oneOf", &validation.one_of),
    ] {
        let path = path.field(keyword);
        for (index, schema) in schemas.iter().enumerate() {
            nested_completeness(
                schema,
                structure,
                structure_path,
                &path.index(index),
                errors,
            );
        }
    }
}

fn nested_completeness(
    validation: &Props<'_>,
    structure: &Props<'_>,
    structure_path: &Path<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    completeness(validation, structure, structure_path, path, errors);
    if let Some(item) = validation.item() {
        let (structure_path, path) = (structure_path.field("items"), path.field("items"));
        match structure.item() {
            Some(structure) => nested_completeness(item, structure, &structure_path, &path, errors),
            None => errors.push(FieldError::required(
                structure_path,
                format!("because it is defined in {path}"),
            )),
        }
    }
    let (structure_path, path) = (structure_path.field("properties"), path.field("properties"));
    for (name, property) in &validation.properties {
        let (structure_path, path) = (structure_path.key(name), path.key(name));
        match structure.properties.get(name) {
            Some(structure) => {
                nested_completeness(property, structure, &structure_path, &path, errors)
            }
            None => errors.push(FieldError::required(
                structure_path,
                format!("because it is defined in {path}"),
            )),
        }
    }
}
