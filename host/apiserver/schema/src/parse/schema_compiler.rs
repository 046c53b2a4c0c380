//! Compiles the checked keywords of a schema to a [`SchemaNode`].

use serde_json::Value;

use super::props::{SchemaProps, SchemaPropsOrBool};
use crate::error::FieldError;
use crate::formats;
use crate::node::{AdditionalProperties, ListType, SchemaNode, SchemaType, ValueValidation};
use crate::path::PathRef;
use crate::pattern;
use crate::rules::{CelSchemaContext, RuleCompiler};

/// A compiled schema, and the errors of its rules.
pub(super) struct CompiledSchema {
    pub(super) root: SchemaNode,
    pub(super) rule_errors: Vec<FieldError>,
}

/// Compiles a structural schema. Rules with errors are left out.
pub(super) fn compile_schema(
    props: &SchemaProps<'_>,
    path: &PathRef<'_>,
) -> Result<CompiledSchema, Vec<FieldError>> {
    let mut compiler = SchemaCompiler {
        rule_compiler: RuleCompiler::default(),
        errors: Vec::new(),
    };
    let root = compiler.compile_node(props, path, Some(&CelSchemaContext::root()));
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    Ok(CompiledSchema {
        root,
        rule_errors: compiler.rule_compiler.finish(path),
    })
}

struct SchemaCompiler {
    rule_compiler: RuleCompiler,
    errors: Vec<FieldError>,
}

impl SchemaCompiler {
    /// Compiles one schema. `context` is `None` for nested schemas (`allOf`, `not`, …), which cannot have rules.
    fn compile_node(
        &mut self,
        props: &SchemaProps<'_>,
        path: &PathRef<'_>,
        context: Option<&CelSchemaContext>,
    ) -> SchemaNode {
        let list_type = match props.list_type {
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
        let mut node = SchemaNode {
            schema_type: SchemaType::parse(props.schema_type),
            int_or_string: props.int_or_string,
            preserve_unknown_fields: props.preserve_unknown_fields == Some(true),
            embedded_resource: props.embedded_resource,
            nullable: props.nullable,
            atomic_map: props.map_type == Some("atomic"),
            list_type,
            default: props.default.filter(|default| !default.is_null()).cloned(),
            additional_properties: match &props.additional_properties {
                None => AdditionalProperties::Unset,
                Some(SchemaPropsOrBool::Bool(allowed)) => AdditionalProperties::Allowed(*allowed),
                // Replaced below. The context of the values depends on whether this is a map.
                Some(SchemaPropsOrBool::Schema(_)) => AdditionalProperties::Allowed(true),
            },
            validation: self.compile_validation(props, path),
            ..SchemaNode::default()
        };
        if let Some(schema) = props.additional_schema() {
            let context = context.map(|context| {
                context.child_additional_properties(&node, schema.embedded_resource)
            });
            let schema = self.compile_node(
                schema,
                &path.field("additionalProperties"),
                context.as_ref(),
            );
            node.additional_properties = AdditionalProperties::Schema(Box::new(schema));
        }
        let properties = path.field("properties");
        for (name, property) in &props.properties {
            let context = context
                .map(|context| context.child_property(&node, path, property.embedded_resource));
            let property = self.compile_node(property, &properties.key(name), context.as_ref());
            node.properties.insert((*name).to_owned(), property);
        }
        if let Some(item) = props.item() {
            let context =
                context.map(|context| context.child_items(&node, path, item.embedded_resource));
            node.items = Some(Box::new(self.compile_node(
                item,
                &path.field("items"),
                context.as_ref(),
            )));
        }
        if let Some(context) = context {
            node.rules = self
                .rule_compiler
                .compile_rules(&props.rules, &node, context, path)
                .into();
        }
        let children = node
            .properties
            .values()
            .chain(node.items.as_deref())
            .chain(node.additional_properties.schema());
        node.has_rules = !node.rules.is_empty() || children.into_iter().any(|node| node.has_rules);
        node
    }

    fn compile_nested(
        &mut self,
        schemas: &[SchemaProps<'_>],
        path: &PathRef<'_>,
    ) -> Vec<SchemaNode> {
        schemas
            .iter()
            .enumerate()
            .map(|(index, schema)| self.compile_node(schema, &path.index(index), None))
            .collect()
    }

    fn compile_validation(
        &mut self,
        props: &SchemaProps<'_>,
        path: &PathRef<'_>,
    ) -> ValueValidation {
        let pattern = pattern::compile_optional(props.pattern).unwrap_or_else(|error| {
            let detail = format!("must be a valid regular expression, but isn't: {error}");
            self.errors.push(FieldError::invalid(
                path.field("pattern"),
                props.pattern,
                detail,
            ));
            None
        });
        ValueValidation {
            format: formats::StringFormat::parse(props.format),
            enum_values: (!props.enum_values.is_empty()).then(|| {
                props
                    .enum_values
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
            all_of: self.compile_nested(&props.all_of, &path.field("allOf")),
            any_of: self.compile_nested(&props.any_of, &path.field("anyOf")),
            one_of: self.compile_nested(&props.one_of, &path.field("oneOf")),
            not: props
                .not
                .as_ref()
                .map(|not| Box::new(self.compile_node(not, &path.field("not"), None))),
        }
    }
}
