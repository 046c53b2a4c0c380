//! The checks on every schema of a definition, structural or not.

use serde_json::Value;

use super::props::{Items, Props, RuleProps};
use crate::error::FieldError;
use crate::formats::Format;
use crate::node::Type;
use crate::path::Path;
use crate::pruning::META_FIELDS;

const RULE_REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// What the place of a schema forbids in it.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    root: bool,
    inside_metadata: bool,
    /// Why defaults are forbidden, with the name of the field: (`in top-level `, `metadata`).
    no_defaults: Option<(&'static str, &'a str)>,
}

/// The first construct that no structural schema can hold. Its error is shown only when nothing else is wrong.
pub(super) fn unsupported(props: &Props<'_>, root: &Path<'_>) -> Option<FieldError> {
    let construct = first_unsupported(props)?;
    Some(FieldError::invalid(
        root,
        "",
        format!("OpenAPIV3Schema '{construct}' is not supported"),
    ))
}

fn first_unsupported(props: &Props<'_>) -> Option<&'static str> {
    let here = [
        (!props.id.is_empty(), "id"),
        (!props.schema.is_empty(), "schema"),
        (props.reference.is_some(), "$ref"),
        (props.pattern_properties, "patternProperties"),
        (props.dependencies, "dependencies"),
        (props.additional_items, "additionalItems"),
        (props.definitions, "definitions"),
        (matches!(props.items, Some(Items::Many)), "items"),
        (
            props.preserve_unknown == Some(false),
            "x-kubernetes-preserve-unknown-fields",
        ),
    ];
    let here = here
        .into_iter()
        .find_map(|(given, name)| given.then_some(name));
    here.or_else(|| children(props).into_iter().find_map(first_unsupported))
}

fn children<'p, 'a>(props: &'p Props<'a>) -> Vec<&'p Props<'a>> {
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
pub(super) fn warnings(props: &Props<'_>) -> Vec<String> {
    let mut found = Vec::new();
    collect_warnings(props, &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect_warnings(props: &Props<'_>, found: &mut Vec<String>) {
    if props.kind == "string" && !props.format.is_empty() && Format::parse(props.format).is_none() {
        found.push(format!(
            "unrecognized format {}",
            crate::error::quoted(props.format)
        ));
    }
    children(props)
        .into_iter()
        .for_each(|child| collect_warnings(child, found));
}

/// All general checks, on the whole tree.
pub(super) fn check(props: &Props<'_>, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let place = Place {
        root: true,
        ..Place::default()
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

fn visit(props: &Props<'_>, path: &Path<'_>, place: Place<'_>, errors: &mut Vec<FieldError>) {
    keywords(props, path, place, errors);
    lists_and_maps(props, path, errors);
    for (index, rule) in props.rules.iter().enumerate() {
        rule_texts(
            rule,
            &path.field("x-kubernetes-validations").index(index),
            errors,
        );
    }
    let below = Place {
        root: false,
        ..place
    };
    if let Some(schema) = props.additional_schema() {
        let mut below = below;
        if place.inside_metadata {
            below.no_defaults = Some((
                "inside additionalProperties applying to object metadata",
                "",
            ));
        }
        visit(schema, &path.field("additionalProperties"), below, errors);
    }
    let properties = path.field("properties");
    for (name, property) in &props.properties {
        let mut below = below;
        if (place.root || props.embedded) && META_FIELDS.contains(name) {
            below.inside_metadata = true;
            if place.root {
                below.no_defaults = Some(("in top-level ", name));
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

fn keywords(props: &Props<'_>, path: &Path<'_>, place: Place<'_>, errors: &mut Vec<FieldError>) {
    let mut forbid = |keyword: &str, detail: &str| {
        errors.push(FieldError::forbidden(path.field(keyword), detail))
    };
    if let (Some(_), Some((reason, name))) = (props.default, place.no_defaults) {
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
    if props.kind == "null" {
        forbid(
            "type",
            "type cannot be set to null, use nullable as an alternative",
        );
    }
    if matches!(props.items, Some(Items::Many)) {
        forbid("items", "items must be a schema object and not an array");
    }
    if place.inside_metadata && props.embedded {
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
        props.additional,
        Some(super::props::AdditionalProps::Allowed(true))
    );
    if props.additional.is_some() && !additional_true && !props.properties.is_empty() {
        forbid(
            "additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        );
    }
    if !props.kind.is_empty() && Type::parse(props.kind).is_none() {
        let types = ["array", "boolean", "integer", "number", "object", "string"];
        errors.push(FieldError::unsupported(
            path.field("type"),
            props.kind,
            &types,
        ));
    }
    if props.preserve_unknown == Some(false) {
        let keyword = "x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::invalid(
            path.field(keyword),
            false,
            "must be true or undefined",
        ));
    }
    bounds(props, path, errors);
}

/// Bounds that upstream takes although they make its validation fall over or mean nothing.
fn bounds(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
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

fn expect_type(
    props: &Props<'_>,
    path: &Path<'_>,
    kind: &str,
    because: &str,
    errors: &mut Vec<FieldError>,
) -> bool {
    let field = path.field("type");
    let detail = format!("must be {kind} if {because}");
    if props.kind.is_empty() {
        errors.push(FieldError::required(field, detail));
    } else if props.kind != kind {
        errors.push(FieldError::invalid(field, props.kind, detail));
    }
    props.kind == kind
}

fn lists_and_maps(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(map_type) = props.map_type {
        expect_type(
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
    let is_list = expect_type(
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
        atomic_item(item, &items, errors);
    }
    if list_type == "map" {
        map_list(props, path, errors);
    }
    if let Some(item) = props
        .item()
        .filter(|item| item.nullable && ["set", "map"].contains(&list_type))
    {
        debug_assert!(item.nullable);
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(FieldError::forbidden(items.field("nullable"), detail));
    }
}

fn atomic_item(item: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    // Upstream shows the list type of the item in both cases.
    let shown = item.list_type.map_or(Value::Null, Value::from);
    if item.kind == "array"
        && item
            .list_type
            .is_some_and(|list_type| list_type != "atomic")
    {
        errors.push(FieldError::invalid(
            path.field("x-kubernetes-list-type"),
            shown,
            detail,
        ));
    } else if item.kind == "object" && item.map_type != Some("atomic") {
        errors.push(FieldError::invalid(
            path.field("x-kubernetes-map-type"),
            shown,
            detail,
        ));
    }
}

fn map_list(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
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
    if item.kind != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(items.field("type"), item.kind, detail));
        return;
    }
    let properties = items.field("properties");
    let shown = || Value::from(props.list_map_keys.clone());
    for (index, &key) in props.list_map_keys.iter().enumerate() {
        if props
            .list_map_keys
            .iter()
            .take(index)
            .any(|&earlier| earlier == key)
        {
            errors.push(FieldError::invalid(
                keys_field,
                shown(),
                "must not contain duplicate entries",
            ));
        }
        let Some(property) = item.properties.get(key) else {
            errors.push(FieldError::invalid(
                keys_field,
                shown(),
                "entries must all be names of item properties",
            ));
            continue;
        };
        let field = properties.key(key);
        if property.kind == "array" || property.kind == "object" {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(field.field("type"), item.kind, detail));
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

fn rule_texts(rule: &RuleProps<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let has_line_break = |text: &str| text.contains(['\n', '\r']);
    let message = path.field("message");
    let trimmed = rule.message.trim();
    if rule.rule.trim().is_empty() {
        errors.push(FieldError::required(
            path.field("rule"),
            "rule is not specified",
        ));
    } else if !rule.message.is_empty() && trimmed.is_empty() {
        errors.push(FieldError::invalid(
            message,
            rule.message,
            "must be non-empty if specified",
        ));
    } else if has_line_break(trimmed) {
        errors.push(FieldError::invalid(
            message,
            rule.message,
            "must not contain line breaks",
        ));
    } else if has_line_break(rule.rule.trim()) && trimmed.is_empty() {
        errors.push(FieldError::required(
            message,
            "message must be specified if rule contains line breaks",
        ));
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        errors.push(FieldError::required(
            path.field("messageExpression"),
            "must be non-empty if specified",
        ));
    }
    if let Some(reason) = rule.reason.filter(|reason| !RULE_REASONS.contains(reason)) {
        errors.push(FieldError::unsupported(
            path.field("reason"),
            reason,
            &RULE_REASONS,
        ));
    }
    let field_path = path.field("fieldPath");
    if !rule.field_path.is_empty() && rule.field_path.trim().is_empty() {
        errors.push(FieldError::invalid(
            field_path,
            rule.field_path,
            "must be non-empty if specified",
        ));
    }
    if has_line_break(rule.field_path) {
        errors.push(FieldError::invalid(
            field_path,
            rule.field_path,
            "must not contain line breaks",
        ));
    }
}
