//! A schema as it is written: the keywords, with their JSON types checked.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::keywords::is_known_keyword;
use crate::error::FieldError;
use crate::node::MAX_SCHEMA_DEPTH;
use crate::path::PathRef;
use crate::rules::ValidationRule;

/// The value of `items`: upstream's `JSONSchemaPropsOrArray`.
#[derive(Debug)]
pub(super) enum SchemaPropsOrArray<'a> {
    Schema(Box<SchemaProps<'a>>),
    Array,
}

/// The value of `additionalProperties`: upstream's `JSONSchemaPropsOrBool`.
#[derive(Debug)]
pub(super) enum SchemaPropsOrBool<'a> {
    Bool(bool),
    Schema(Box<SchemaProps<'a>>),
}

/// One schema: upstream's `JSONSchemaProps`. A keyword that is absent or null has its zero value.
#[derive(Debug, Default)]
pub(super) struct SchemaProps<'a> {
    pub(super) id: &'a str,
    pub(super) schema: &'a str,
    pub(super) reference: Option<&'a str>,
    pub(super) description: &'a str,
    pub(super) schema_type: &'a str,
    pub(super) format: &'a str,
    pub(super) title: &'a str,
    pub(super) default: Option<&'a Value>,
    pub(super) maximum: Option<&'a Number>,
    pub(super) exclusive_maximum: bool,
    pub(super) minimum: Option<&'a Number>,
    pub(super) exclusive_minimum: bool,
    pub(super) max_length: Option<i64>,
    pub(super) min_length: Option<i64>,
    pub(super) pattern: &'a str,
    pub(super) max_items: Option<i64>,
    pub(super) min_items: Option<i64>,
    pub(super) unique_items: bool,
    pub(super) multiple_of: Option<&'a Number>,
    pub(super) enum_values: Vec<&'a Value>,
    pub(super) max_properties: Option<i64>,
    pub(super) min_properties: Option<i64>,
    pub(super) required: Vec<&'a str>,
    pub(super) items: Option<SchemaPropsOrArray<'a>>,
    pub(super) all_of: Vec<SchemaProps<'a>>,
    pub(super) one_of: Vec<SchemaProps<'a>>,
    pub(super) any_of: Vec<SchemaProps<'a>>,
    pub(super) not: Option<Box<SchemaProps<'a>>>,
    pub(super) properties: BTreeMap<&'a str, SchemaProps<'a>>,
    pub(super) additional_properties: Option<SchemaPropsOrBool<'a>>,
    pub(super) pattern_properties: bool,
    pub(super) dependencies: bool,
    pub(super) additional_items: bool,
    pub(super) definitions: bool,
    pub(super) external_docs: bool,
    pub(super) example: bool,
    pub(super) nullable: bool,
    pub(super) preserve_unknown_fields: Option<bool>,
    pub(super) embedded_resource: bool,
    pub(super) int_or_string: bool,
    pub(super) list_map_keys: Vec<&'a str>,
    pub(super) list_type: Option<&'a str>,
    pub(super) map_type: Option<&'a str>,
    pub(super) rules: Vec<ValidationRule<'a>>,
}

impl<'a> SchemaProps<'a> {
    /// Returns the schema of the items, if `items` is a single schema.
    pub(super) fn item(&self) -> Option<&SchemaProps<'a>> {
        match &self.items {
            Some(SchemaPropsOrArray::Schema(item)) => Some(item),
            _ => None,
        }
    }

    /// Returns the schema of the values of a map.
    pub(super) fn additional_schema(&self) -> Option<&SchemaProps<'a>> {
        match &self.additional_properties {
            Some(SchemaPropsOrBool::Schema(schema)) => Some(schema),
            _ => None,
        }
    }
}

/// Reads a schema. Fails on a keyword of the wrong JSON type, on an unknown keyword, and if schemas nest too deeply.
pub(super) fn read_props<'a>(
    schema: &'a Value,
    path: &PathRef<'_>,
) -> Result<SchemaProps<'a>, Vec<FieldError>> {
    let mut reader = PropsReader { errors: Vec::new() };
    let props = reader.read_schema(schema, path, 0);
    if reader.errors.is_empty() {
        Ok(props)
    } else {
        Err(reader.errors)
    }
}

struct PropsReader {
    errors: Vec<FieldError>,
}

impl PropsReader {
    fn reject(&mut self, path: &PathRef<'_>, value: &Value, expected: &str) {
        self.errors.push(FieldError::invalid(
            path,
            value.clone(),
            format!("must be {expected}"),
        ));
    }

    fn read_schema<'a>(
        &mut self,
        value: &'a Value,
        path: &PathRef<'_>,
        depth: usize,
    ) -> SchemaProps<'a> {
        let mut props = SchemaProps::default();
        if depth > MAX_SCHEMA_DEPTH {
            self.errors.push(FieldError::forbidden(
                path,
                format!("must not be nested more than {MAX_SCHEMA_DEPTH} levels deep"),
            ));
            return props;
        }
        let Value::Object(map) = value else {
            self.reject(path, value, "a schema object");
            return props;
        };
        for (keyword, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            self.read_keyword(&mut props, keyword, value, &path.field(keyword), depth + 1);
        }
        props
    }

    fn read_keyword<'a>(
        &mut self,
        props: &mut SchemaProps<'a>,
        keyword: &str,
        value: &'a Value,
        path: &PathRef<'_>,
        depth: usize,
    ) {
        match keyword {
            "id" => props.id = self.read_string(value, path),
            "$schema" => props.schema = self.read_string(value, path),
            "$ref" => props.reference = Some(self.read_string(value, path)),
            "description" => props.description = self.read_string(value, path),
            "type" => props.schema_type = self.read_string(value, path),
            "format" => props.format = self.read_string(value, path),
            "title" => props.title = self.read_string(value, path),
            "default" => props.default = Some(value),
            "maximum" => props.maximum = self.read_number(value, path),
            "exclusiveMaximum" => props.exclusive_maximum = self.read_bool(value, path),
            "minimum" => props.minimum = self.read_number(value, path),
            "exclusiveMinimum" => props.exclusive_minimum = self.read_bool(value, path),
            "maxLength" => props.max_length = self.read_integer(value, path),
            "minLength" => props.min_length = self.read_integer(value, path),
            "pattern" => props.pattern = self.read_string(value, path),
            "maxItems" => props.max_items = self.read_integer(value, path),
            "minItems" => props.min_items = self.read_integer(value, path),
            "uniqueItems" => props.unique_items = self.read_bool(value, path),
            "multipleOf" => props.multiple_of = self.read_number(value, path),
            "enum" => props.enum_values = self.read_list(value, path).iter().collect(),
            "maxProperties" => props.max_properties = self.read_integer(value, path),
            "minProperties" => props.min_properties = self.read_integer(value, path),
            "required" => props.required = self.read_strings(value, path),
            "items" => {
                props.items = Some(match value {
                    Value::Array(_) => SchemaPropsOrArray::Array,
                    value => {
                        SchemaPropsOrArray::Schema(Box::new(self.read_schema(value, path, depth)))
                    }
                });
            }
            "allOf" => props.all_of = self.read_schemas(value, path, depth),
            "oneOf" => props.one_of = self.read_schemas(value, path, depth),
            "anyOf" => props.any_of = self.read_schemas(value, path, depth),
            "not" => props.not = Some(Box::new(self.read_schema(value, path, depth))),
            "properties" => {
                for (name, value) in self.read_map(value, path).into_iter().flatten() {
                    props
                        .properties
                        .insert(name, self.read_schema(value, &path.key(name), depth));
                }
            }
            "additionalProperties" => {
                props.additional_properties = Some(match value {
                    Value::Bool(allowed) => SchemaPropsOrBool::Bool(*allowed),
                    value => {
                        SchemaPropsOrBool::Schema(Box::new(self.read_schema(value, path, depth)))
                    }
                });
            }
            "patternProperties" => props.pattern_properties = true,
            "dependencies" => props.dependencies = true,
            "additionalItems" => props.additional_items = true,
            "definitions" => props.definitions = true,
            "externalDocs" => props.external_docs = true,
            "example" => props.example = true,
            "nullable" => props.nullable = self.read_bool(value, path),
            "x-kubernetes-preserve-unknown-fields" => {
                props.preserve_unknown_fields = Some(self.read_bool(value, path))
            }
            "x-kubernetes-embedded-resource" => {
                props.embedded_resource = self.read_bool(value, path)
            }
            "x-kubernetes-int-or-string" => props.int_or_string = self.read_bool(value, path),
            "x-kubernetes-list-map-keys" => props.list_map_keys = self.read_strings(value, path),
            "x-kubernetes-list-type" => props.list_type = Some(self.read_string(value, path)),
            "x-kubernetes-map-type" => props.map_type = Some(self.read_string(value, path)),
            "x-kubernetes-validations" => {
                let rules = self.read_list(value, path).iter().enumerate();
                props.rules = rules
                    .map(|(index, rule)| self.read_rule(rule, &path.index(index)))
                    .collect();
            }
            _ => {
                debug_assert!(
                    !is_known_keyword(keyword),
                    "the known keyword {keyword} is not read"
                );
                self.errors
                    .push(FieldError::forbidden(path, "is not a keyword of schemas"));
            }
        }
    }

    fn read_rule<'a>(&mut self, value: &'a Value, path: &PathRef<'_>) -> ValidationRule<'a> {
        let mut rule = ValidationRule::default();
        for (name, value) in self
            .read_map(value, path)
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
        {
            let path = path.field(name);
            match name.as_str() {
                "rule" => rule.rule = self.read_string(value, &path),
                "message" => rule.message = self.read_string(value, &path),
                "messageExpression" => rule.message_expression = self.read_string(value, &path),
                "reason" => rule.reason = Some(self.read_string(value, &path)),
                "fieldPath" => rule.field_path = self.read_string(value, &path),
                "optionalOldSelf" => rule.optional_old_self = Some(self.read_bool(value, &path)),
                _ => self
                    .errors
                    .push(FieldError::forbidden(path, "is not a member of rules")),
            }
        }
        rule
    }

    fn read_schemas<'a>(
        &mut self,
        value: &'a Value,
        path: &PathRef<'_>,
        depth: usize,
    ) -> Vec<SchemaProps<'a>> {
        let entries = self.read_list(value, path).iter().enumerate();
        entries
            .map(|(index, value)| self.read_schema(value, &path.index(index), depth))
            .collect()
    }

    fn read_string<'a>(&mut self, value: &'a Value, path: &PathRef<'_>) -> &'a str {
        value.as_str().unwrap_or_else(|| {
            self.reject(path, value, "a string");
            ""
        })
    }

    fn read_bool(&mut self, value: &Value, path: &PathRef<'_>) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.reject(path, value, "true or false");
            false
        })
    }

    fn read_number<'a>(&mut self, value: &'a Value, path: &PathRef<'_>) -> Option<&'a Number> {
        let Value::Number(number) = value else {
            self.reject(path, value, "a number");
            return None;
        };
        Some(number)
    }

    fn read_integer(&mut self, value: &Value, path: &PathRef<'_>) -> Option<i64> {
        let integer = value.as_i64();
        if integer.is_none() {
            self.reject(path, value, "an integer");
        }
        integer
    }

    fn read_list<'a>(&mut self, value: &'a Value, path: &PathRef<'_>) -> &'a [Value] {
        let Value::Array(list) = value else {
            self.reject(path, value, "a list");
            return &[];
        };
        list
    }

    fn read_strings<'a>(&mut self, value: &'a Value, path: &PathRef<'_>) -> Vec<&'a str> {
        let entries = self.read_list(value, path).iter().enumerate();
        entries
            .map(|(index, value)| self.read_string(value, &path.index(index)))
            .collect()
    }

    fn read_map<'a>(
        &mut self,
        value: &'a Value,
        path: &PathRef<'_>,
    ) -> Option<&'a Map<String, Value>> {
        let map = value.as_object();
        if map.is_none() {
            self.reject(path, value, "an object");
        }
        map
    }
}
