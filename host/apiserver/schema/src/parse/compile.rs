//! From checked keywords to a compiled [`Node`].

use serde_json::Value;

use super::props::{AdditionalProps, Props};
use crate::error::FieldError;
use crate::formats;
use crate::node::{Additional, Checks, ListType, Node, Type};
use crate::path::Path;
use crate::pattern;

/// Compiles a schema that is structural.
pub(super) fn compile(props: &Props<'_>, path: &Path<'_>) -> Result<Node, Vec<FieldError>> {
    let mut errors = Vec::new();
    let node = node(props, path, &mut errors);
    if errors.is_empty() { Ok(node) } else { Err(errors) }
}

fn node(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Node {
    if !props.rules.is_empty() {
        errors.push(FieldError::forbidden(path.field("x-kubernetes-validations"), "rules are not supported"));
    }
    let properties_path = path.field("properties");
    let properties = props.properties.iter();
    let properties =
        properties.map(|(name, property)| ((*name).to_owned(), node(property, &properties_path.key(name), errors))).collect();
    let list = match props.list_type {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(props.list_map_keys.iter().map(|key| (*key).to_owned()).collect()),
        Some(_) => ListType::Atomic,
        None => ListType::Untyped,
    };
    Node {
        kind: Type::parse(props.kind),
        int_or_string: props.int_or_string,
        preserve_unknown: props.preserve_unknown == Some(true),
        embedded: props.embedded,
        nullable: props.nullable,
        atomic_map: props.map_type == Some("atomic"),
        list,
        default: props.default.filter(|default| !default.is_null()).cloned(),
        properties,
        additional: match &props.additional {
            None => Additional::Unset,
            Some(AdditionalProps::Allowed(allowed)) => Additional::Allowed(*allowed),
            Some(AdditionalProps::Schema(schema)) => {
                Additional::Schema(Box::new(node(schema, &path.field("additionalProperties"), errors)))
            }
        },
        items: props.item().map(|item| Box::new(node(item, &path.field("items"), errors))),
        checks: checks(props, path, errors),
    }
}

fn checks(props: &Props<'_>, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Checks {
    let pattern = pattern::compile(props.pattern).unwrap_or_else(|problem| {
        let detail = format!("must be a valid regular expression, but isn't: {problem}");
        errors.push(FieldError::invalid(path.field("pattern"), props.pattern, detail));
        None
    });
    let mut nested = |keyword: &str, schemas: &[Props<'_>]| -> Vec<Node> {
        let path = path.field(keyword);
        schemas.iter().enumerate().map(|(index, schema)| node(schema, &path.index(index), errors)).collect()
    };
    let all_of = nested("allOf", &props.all_of);
    let any_of = nested("anyOf", &props.any_of);
    let one_of = nested("oneOf", &props.one_of);
    Checks {
        format: formats::Format::parse(props.format),
        allowed: (!props.allowed.is_empty()).then(|| props.allowed.iter().map(|&value| Value::clone(value)).collect()),
        maximum: props.maximum.cloned(),
        exclusive_maximum: props.exclusive_maximum,
        minimum: props.minimum.cloned(),
        exclusive_minimum: props.exclusive_minimum,
        multiple_of: props.multiple_of.cloned(),
        max_length: props.max_length,
        min_length: props.min_length,
        pattern,
        max_items: props.max_items,
        min_items: props.min_items,
        max_properties: props.max_properties,
        min_properties: props.min_properties,
        required: props.required.iter().map(|name| (*name).to_owned()).collect(),
        all_of,
        any_of,
        one_of,
        not: props.not.as_ref().map(|not| Box::new(node(not, &path.field("not"), errors))),
    }
}
