//! From checked keywords to a compiled [`Node`].

use serde_json::Value;

use super::props::{AdditionalProps, Props};
use crate::cel::{Compiler, Place};
use crate::error::FieldError;
use crate::formats;
use crate::node::{Additional, Checks, ListType, Node, Type};
use crate::path::Path;
use crate::pattern;

/// A compiled schema, and what is wrong with its rules.
pub(super) struct Compiled {
    pub(super) root: Node,
    pub(super) rule_errors: Vec<FieldError>,
}

/// Compiles a schema that is structural. Rules with mistakes are left out of it.
pub(super) fn compile(props: &Props<'_>, path: &Path<'_>) -> Result<Compiled, Vec<FieldError>> {
    let mut compilation = Compilation {
        rules: Compiler::default(),
        errors: Vec::new(),
    };
    let root = compilation.node(props, path, Some(&Place::root()));
    if !compilation.errors.is_empty() {
        return Err(compilation.errors);
    }
    Ok(Compiled {
        root,
        rule_errors: compilation.rules.finish(path),
    })
}

struct Compilation {
    rules: Compiler,
    errors: Vec<FieldError>,
}

impl Compilation {
    /// Compiles one schema; a nested one (`allOf` and so on) has no place for rules.
    fn node(&mut self, props: &Props<'_>, path: &Path<'_>, place: Option<&Place>) -> Node {
        let list = match props.list_type {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(
                props
                    .list_map_keys
                    .iter()
                    .map(|key| (*key).to_owned())
                    .collect(),
            ),
            Some(_) => ListType::Atomic,
            None => ListType::Untyped,
        };
        let mut node = Node {
            kind: Type::parse(props.kind),
            int_or_string: props.int_or_string,
            preserve_unknown: props.preserve_unknown == Some(true),
            embedded: props.embedded,
            nullable: props.nullable,
            atomic_map: props.map_type == Some("atomic"),
            list,
            default: props.default.filter(|default| !default.is_null()).cloned(),
            additional: match &props.additional {
                None => Additional::Unset,
                Some(AdditionalProps::Allowed(allowed)) => Additional::Allowed(*allowed),
                // Filled in below; the rules of the values need to know that this is a map.
                Some(AdditionalProps::Schema(_)) => Additional::Allowed(true),
            },
            checks: self.checks(props, path),
            ..Node::default()
        };
        if let Some(schema) = props.additional_schema() {
            let place = place.map(|place| place.entry(&node, schema.embedded));
            let schema = self.node(schema, &path.field("additionalProperties"), place.as_ref());
            node.additional = Additional::Schema(Box::new(schema));
        }
        let properties = path.field("properties");
        for (name, property) in &props.properties {
            let place = place.map(|place| place.property(&node, path, property.embedded));
            let property = self.node(property, &properties.key(name), place.as_ref());
            node.properties.insert((*name).to_owned(), property);
        }
        if let Some(item) = props.item() {
            let place = place.map(|place| place.item(&node, path, item.embedded));
            node.items = Some(Box::new(self.node(
                item,
                &path.field("items"),
                place.as_ref(),
            )));
        }
        if let Some(place) = place {
            node.rules = self.rules.rules(&props.rules, &node, place, path).into();
        }
        let below = node
            .properties
            .values()
            .chain(node.items.as_deref())
            .chain(node.additional.schema());
        node.has_rules = !node.rules.is_empty() || below.into_iter().any(|node| node.has_rules);
        node
    }

    fn nested(&mut self, schemas: &[Props<'_>], path: &Path<'_>) -> Vec<Node> {
        schemas
            .iter()
            .enumerate()
            .map(|(index, schema)| self.node(schema, &path.index(index), None))
            .collect()
    }

    fn checks(&mut self, props: &Props<'_>, path: &Path<'_>) -> Checks {
        let pattern = pattern::compile(props.pattern).unwrap_or_else(|problem| {
            let detail = format!("must be a valid regular expression, but isn't: {problem}");
            self.errors.push(FieldError::invalid(
                path.field("pattern"),
                props.pattern,
                detail,
            ));
            None
        });
        Checks {
            format: formats::Format::parse(props.format),
            allowed: (!props.allowed.is_empty()).then(|| {
                props
                    .allowed
                    .iter()
                    .map(|&value| Value::clone(value))
                    .collect()
            }),
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
            required: props
                .required
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            all_of: self.nested(&props.all_of, &path.field("allOf")),
            any_of: self.nested(&props.any_of, &path.field("anyOf")),
            one_of: self.nested(&props.one_of, &path.field("oneOf")),
            not: props
                .not
                .as_ref()
                .map(|not| Box::new(self.node(not, &path.field("not"), None))),
        }
    }
}
