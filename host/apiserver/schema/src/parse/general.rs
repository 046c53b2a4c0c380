//! The checks on every schema of a definition, structural or not.

use super::props::{SchemaProps, SchemaPropsOrArray, SchemaPropsOrBool};
use super::{list_types, rule_fields};
use crate::error::FieldError;
use crate::formats::StringFormat;
use crate::node::SchemaType;
use crate::path::PathRef;
use crate::pruning::META_FIELDS;

/// What the place of a schema forbids in it.
#[derive(Clone, Copy, Default)]
struct SchemaPosition<'a> {
    is_root: bool,
    inside_metadata: bool,
    /// Why defaults are forbidden, with the name of the field: (`in top-level `, `metadata`).
    defaults_forbidden: Option<(&'static str, &'a str)>,
}

/// The first construct that no structural schema can hold. Its error is shown only when nothing else is wrong.
pub(super) fn find_unsupported(props: &SchemaProps<'_>, root: &PathRef<'_>) -> Option<FieldError> {
    let construct = first_unsupported(props)?;
    Some(FieldError::invalid(
        root,
        "",
        format!("OpenAPIV3Schema '{construct}' is not supported"),
    ))
}

fn first_unsupported(props: &SchemaProps<'_>) -> Option<&'static str> {
    let here = [
        (!props.id.is_empty(), "id"),
        (!props.schema.is_empty(), "schema"),
        (props.reference.is_some(), "$ref"),
        (props.pattern_properties, "patternProperties"),
        (props.dependencies, "dependencies"),
        (props.additional_items, "additionalItems"),
        (props.definitions, "definitions"),
        (
            matches!(props.items, Some(SchemaPropsOrArray::Array)),
            "items",
        ),
        (
            props.preserve_unknown_fields == Some(false),
            "x-kubernetes-preserve-unknown-fields",
        ),
    ];
    let here = here
        .into_iter()
        .find_map(|(given, name)| given.then_some(name));
    here.or_else(|| children(props).into_iter().find_map(first_unsupported))
}

fn children<'p, 'a>(props: &'p SchemaProps<'a>) -> Vec<&'p SchemaProps<'a>> {
    let lists = [&props.all_of, &props.any_of, &props.one_of]
        .into_iter()
        .flatten();
    let single = [
        props.item(),
        props.additional_schema(),
        props.not.as_deref(),
    ]
    .into_iter()
    .flatten();
    lists
        .chain(single)
        .chain(props.properties.values())
        .collect()
}

/// Formats of strings that nothing checks, each named once.
pub(super) fn warnings(props: &SchemaProps<'_>) -> Vec<String> {
    let mut found = Vec::new();
    collect_warnings(props, &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect_warnings(props: &SchemaProps<'_>, found: &mut Vec<String>) {
    if props.schema_type == "string"
        && !props.format.is_empty()
        && StringFormat::parse(props.format).is_none()
    {
        found.push(format!(
            "unrecognized format {}",
            crate::error::quote(props.format)
        ));
    }
    children(props)
        .into_iter()
        .for_each(|child| collect_warnings(child, found));
}

/// All general checks, on the whole tree.
pub(super) fn check(props: &SchemaProps<'_>, path: &PathRef<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let place = SchemaPosition {
        is_root: true,
        ..SchemaPosition::default()
    };
    if props.nullable {
        errors.push(FieldError::forbidden(
            path.field("nullable"),
            "nullable cannot be true at the root",
        ));
    }
    visit(props, path, place, &mut errors);
    errors
}

fn visit(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
    place: SchemaPosition<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_keywords(props, path, place, errors);
    list_types::check(props, path, errors);
    for (index, rule) in props.rules.iter().enumerate() {
        rule_fields::check(
            rule,
            &path.field("x-kubernetes-validations").index(index),
            errors,
        );
    }
    let below = SchemaPosition {
        is_root: false,
        ..place
    };
    if let Some(schema) = props.additional_schema() {
        let mut below = below;
        if place.inside_metadata {
            below.defaults_forbidden = Some((
                "inside additionalProperties applying to object metadata",
                "",
            ));
        }
        visit(schema, &path.field("additionalProperties"), below, errors);
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        let mut below = below;
        if (place.is_root || props.embedded_resource) && META_FIELDS.contains(name) {
            below.inside_metadata = true;
            if place.is_root {
                below.defaults_forbidden = Some(("in top-level ", name));
            }
        }
        visit(property, &properties.key(name), below, errors);
    }
    if let Some(not) = &props.not {
        visit(not, &path.field("not"), below, errors);
    }
    for (keyword, schemas) in [
        ("allOf", &props.all_of),
        ("oneOf", &props.one_of),
        ("anyOf", &props.any_of),
    ] {
        let path = path.field(keyword);
        for (index, schema) in schemas.iter().enumerate() {
            visit(schema, &path.index(index), below, errors);
        }
    }
    if let Some(item) = props.item() {
        visit(item, &path.field("items"), below, errors);
    }
}

fn check_keywords(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
    place: SchemaPosition<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut forbid = |keyword: &str, detail: &str| {
        errors.push(FieldError::forbidden(path.field(keyword), detail))
    };
    if let (Some(_), Some((reason, name))) = (props.default, place.defaults_forbidden) {
        forbid("default", &format!("must not be set {reason}{name}"));
    }
    let unsupported = [
        (!props.id.is_empty(), "id"),
        (props.additional_items, "additionalItems"),
        (props.pattern_properties, "patternProperties"),
        (props.definitions, "definitions"),
        (props.dependencies, "dependencies"),
        (props.reference.is_some(), "$ref"),
    ];
    for (_, keyword) in unsupported.into_iter().filter(|(given, _)| *given) {
        forbid(keyword, &format!("{keyword} is not supported"));
    }
    if props.schema_type == "null" {
        forbid(
            "type",
            "type cannot be set to null, use nullable as an alternative",
        );
    }
    if matches!(props.items, Some(SchemaPropsOrArray::Array)) {
        forbid("items", "items must be a schema object and not an array");
    }
    if place.inside_metadata && props.embedded_resource {
        forbid(
            "x-kubernetes-embedded-resource",
            "must not be used inside of resource meta",
        );
    }
    if props.unique_items {
        forbid(
            "uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    let additional_true = matches!(
        props.additional_properties,
        Some(SchemaPropsOrBool::Bool(true))
    );
    if props.additional_properties.is_some() && !additional_true && !props.properties.is_empty() {
        forbid(
            "additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        );
    }
    if !props.schema_type.is_empty() && SchemaType::parse(props.schema_type).is_none() {
        let types = ["array", "boolean", "integer", "number", "object", "string"];
        errors.push(FieldError::unsupported(
            path.field("type"),
            props.schema_type,
            &types,
        ));
    }
    if props.preserve_unknown_fields == Some(false) {
        let keyword = "x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::invalid(
            path.field(keyword),
            false,
            "must be true or undefined",
        ));
    }
    check_bounds(props, path, errors);
}

/// Bounds that upstream takes although they make its validation fall over or mean nothing.
fn check_bounds(props: &SchemaProps<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    if let Some(factor) = props
        .multiple_of
        .filter(|factor| factor.as_f64().is_none_or(|factor| factor <= 0.0))
    {
        errors.push(FieldError::invalid(
            path.field("multipleOf"),
            factor.clone(),
            "must be greater than 0",
        ));
    }
}
