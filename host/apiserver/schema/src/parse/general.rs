//! The general checks of a definition's schemas, structural or not.

use super::props::{SchemaProps, SchemaPropsOrArray, SchemaPropsOrBool};
use super::{list_types, rule_fields};
use crate::error::FieldError;
use crate::formats::StringFormat;
use crate::node::SchemaType;
use crate::path::PathRef;
use crate::pruning::META_FIELDS;

/// The position of a schema, which determines what the schema must not contain.
#[derive(Clone, Copy, Default)]
struct SchemaPosition<'a> {
    is_root: bool,
    inside_metadata: bool,
    /// The reason why defaults are forbidden, followed by the name of the field: (`in top-level `, `metadata`).
    defaults_forbidden: Option<(&'static str, &'a str)>,
}

/// Returns an error for the first construct that structural schemas do not support. It is reported only if there are no
/// other errors.
pub(super) fn find_unsupported(props: &SchemaProps<'_>, root: &PathRef<'_>) -> Option<FieldError> {
    let construct = first_unsupported(props)?;
    Some(FieldError::invalid(
        root,
        "",
        format!("OpenAPIV3Schema '{construct}' is not supported"),
    ))
}

fn first_unsupported(props: &SchemaProps<'_>) -> Option<&'static str> {
    let constructs = [
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
    let own = constructs
        .into_iter()
        .find_map(|(is_set, name)| is_set.then_some(name));
    own.or_else(|| children(props).into_iter().find_map(first_unsupported))
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

/// Returns a warning for each format of strings that is not validated.
pub(super) fn warnings(props: &SchemaProps<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    collect_warnings(props, &mut warnings);
    warnings.sort();
    warnings.dedup();
    warnings
}

fn collect_warnings(props: &SchemaProps<'_>, warnings: &mut Vec<String>) {
    if props.schema_type == "string"
        && !props.format.is_empty()
        && StringFormat::parse(props.format).is_none()
    {
        warnings.push(format!(
            "unrecognized format {}",
            crate::error::quote(props.format)
        ));
    }
    children(props)
        .into_iter()
        .for_each(|child| collect_warnings(child, warnings));
}

/// Checks all schemas of a definition.
pub(super) fn check(props: &SchemaProps<'_>, path: &PathRef<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let position = SchemaPosition {
        is_root: true,
        ..SchemaPosition::default()
    };
    if props.nullable {
        errors.push(FieldError::forbidden(
            path.field("nullable"),
            "nullable cannot be true at the root",
        ));
    }
    visit(props, path, position, &mut errors);
    errors
}

fn visit(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
    position: SchemaPosition<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_keywords(props, path, position, errors);
    list_types::check(props, path, errors);
    for (index, rule) in props.rules.iter().enumerate() {
        rule_fields::check(
            rule,
            &path.field("x-kubernetes-validations").index(index),
            errors,
        );
    }
    let child_position = SchemaPosition {
        is_root: false,
        ..position
    };
    if let Some(schema) = props.additional_schema() {
        let mut child_position = child_position;
        if position.inside_metadata {
            child_position.defaults_forbidden = Some((
                "inside additionalProperties applying to object metadata",
                "",
            ));
        }
        visit(
            schema,
            &path.field("additionalProperties"),
            child_position,
            errors,
        );
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        let mut child_position = child_position;
        if (position.is_root || props.embedded_resource) && META_FIELDS.contains(name) {
            child_position.inside_metadata = true;
            if position.is_root {
                child_position.defaults_forbidden = Some(("in top-level ", name));
            }
        }
        visit(property, &properties.key(name), child_position, errors);
    }
    if let Some(not) = &props.not {
        visit(not, &path.field("not"), child_position, errors);
    }
    for (keyword, schemas) in [
        ("allOf", &props.all_of),
        ("oneOf", &props.one_of),
        ("anyOf", &props.any_of),
    ] {
        let path = path.field(keyword);
        for (index, schema) in schemas.iter().enumerate() {
            visit(schema, &path.index(index), child_position, errors);
        }
    }
    if let Some(item) = props.item() {
        visit(item, &path.field("items"), child_position, errors);
    }
}

fn check_keywords(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
    position: SchemaPosition<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut forbid = |keyword: &str, detail: &str| {
        errors.push(FieldError::forbidden(path.field(keyword), detail))
    };
    if let (Some(_), Some((reason, name))) = (props.default, position.defaults_forbidden) {
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
    for (_, keyword) in unsupported.into_iter().filter(|(is_set, _)| *is_set) {
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
    if position.inside_metadata && props.embedded_resource {
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

/// Rejects bounds that upstream accepts although its validation fails on them or ignores them.
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
