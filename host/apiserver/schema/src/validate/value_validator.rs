//! The value validator: types, formats, bounds, required fields, and nested schemas.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::composition;
use super::numbers::{self, NumericValue};
use crate::error::{FieldError, FieldErrorKind, NIL_FIELD, quote};
use crate::node::{AdditionalProperties, SchemaNode, SchemaType};
use crate::path::PathRef;
use crate::ratcheting::{find_correlated, is_unchanged};

/// Validates `new` against a schema; `base` is the path of the field with this value, empty for a whole object.
pub(super) fn validate_value(
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    base: &str,
) -> Vec<FieldError> {
    let mut validator = ValueValidator {
        base,
        errors: Vec::new(),
    };
    validator.check_value(node, new, old, &PathRef::Root(""));
    deduplicate(validator.errors)
}

/// Removes repeated errors: several schemas may reject one value for the same reason.
fn deduplicate(errors: Vec<FieldError>) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    let is_first: Vec<bool> = errors
        .iter()
        .map(|error| seen.insert((error.kind, &error.field, &error.detail)))
        .collect();
    errors
        .into_iter()
        .zip(is_first)
        .filter_map(|(error, is_first)| is_first.then_some(error))
        .collect()
}

/// The maximum number of errors that are kept for one object. Each contains the value that it is about, a list can have
/// a hundred thousand invalid items, and a `Status` names a hundred errors.
pub(super) const MAX_ERRORS: usize = 200;

/// The state of validating one object.
pub(super) struct ValueValidator<'a> {
    base: &'a str,
    pub(super) errors: Vec<FieldError>,
}

impl ValueValidator<'_> {
    fn field_name(&self, path: &str) -> String {
        match (self.base, path.trim_start_matches('.')) {
            ("", "") => NIL_FIELD.to_owned(),
            ("", path) => path.to_owned(),
            (base, "") => base.to_owned(),
            (base, path) => format!("{base}.{path}"),
        }
    }

    /// Reports an error whose detail begins with `PATH in body`.
    pub(super) fn report_in_body(
        &mut self,
        kind: FieldErrorKind,
        path: &PathRef<'_>,
        value: impl Into<Value>,
        expectation: &str,
    ) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let path = path.to_string();
        let detail = format!("{path} in body {expectation}");
        self.errors.push(FieldError::new(
            kind,
            self.field_name(&path),
            Some(value.into()),
            detail,
        ));
    }

    /// Reports an error with any detail.
    pub(super) fn report(
        &mut self,
        kind: FieldErrorKind,
        path: &PathRef<'_>,
        value: Option<Value>,
        detail: impl Into<String>,
    ) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let field = self.field_name(&path.to_string());
        self.errors
            .push(FieldError::new(kind, field, value, detail));
    }

    /// Reports an error at the whole object. Upstream does so for `allOf`, `anyOf`, `oneOf`, and `not`, at any depth.
    pub(super) fn report_root(&mut self, detail: String) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let field = self.field_name("");
        self.errors.push(FieldError::invalid(field, "", detail));
    }

    /// Checks one value; returns the number of checks that passed, which selects the best of several failed alternatives.
    pub(super) fn check_value(
        &mut self,
        node: &SchemaNode,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) -> usize {
        let before = self.errors.len();
        let mut matched = usize::from(self.check_type(node, new, path));
        if new.is_null() {
            self.check_enum(node, new, path);
        } else {
            matched += composition::check(self, node, new, old, path);
            matched += self.check_by_type(node, new, old, path);
            self.check_enum(node, new, path);
        }
        if self.errors.len() > before && old.is_some_and(|old| is_unchanged(node, old, new)) {
            self.errors.truncate(before);
        }
        matched
    }

    fn check_type(&mut self, node: &SchemaNode, value: &Value, path: &PathRef<'_>) -> bool {
        let (actual, is_match) = match value {
            Value::Null => (
                "null",
                node.schema_type.is_none() && !node.int_or_string || node.nullable,
            ),
            Value::Bool(_) => ("boolean", node.schema_type == Some(SchemaType::Boolean)),
            Value::Number(number) => match NumericValue::from_json(number) {
                NumericValue::Integer(_) => (
                    "integer",
                    node.int_or_string
                        || matches!(
                            node.schema_type,
                            Some(SchemaType::Integer | SchemaType::Number)
                        ),
                ),
                NumericValue::Float(float) => {
                    let whole = numbers::is_whole(float);
                    let integer = (node.int_or_string
                        || node.schema_type == Some(SchemaType::Integer))
                        && whole;
                    (
                        "number",
                        integer || node.schema_type == Some(SchemaType::Number),
                    )
                }
            },
            Value::String(_) => (
                "string",
                node.int_or_string || node.schema_type == Some(SchemaType::String),
            ),
            Value::Array(_) => ("array", node.schema_type == Some(SchemaType::Array)),
            Value::Object(_) => ("object", node.schema_type == Some(SchemaType::Object)),
        };
        let expected = match node.schema_type {
            _ if node.int_or_string => "integer,string",
            Some(kind) => kind.name(),
            None => return true,
        };
        if !is_match {
            let (expected, actual) = match (&node.validation.format, value) {
                (None, _) | (_, Value::Null | Value::Array(_)) => (expected, actual),
                (Some(format), _) => (format.name.as_str(), go_format(value)),
            };
            let expectation = format!("must be of type {expected}: {}", quote(actual));
            self.report_in_body(FieldErrorKind::TypeInvalid, path, actual, &expectation);
        }
        is_match
    }

    fn check_enum(&mut self, node: &SchemaNode, value: &Value, path: &PathRef<'_>) {
        let Some(allowed) = &node.validation.enum_values else {
            return;
        };
        if allowed
            .iter()
            .any(|allowed| numbers::is_equal(allowed, value))
        {
            return;
        }
        let names = allowed.iter().map(|allowed| match allowed {
            Value::String(text) => quote(text),
            other => quote(&other.to_string()),
        });
        let detail = format!("supported values: {}", names.collect::<Vec<_>>().join(", "));
        self.report(
            FieldErrorKind::NotSupported,
            path,
            Some(value.clone()),
            detail,
        );
    }

    fn check_by_type(
        &mut self,
        node: &SchemaNode,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) -> usize {
        match new {
            Value::String(text) => self.check_string(node, text, path),
            Value::Number(number) => {
                numbers::check(self, &node.validation, number, path);
                1
            }
            Value::Array(items) => self.check_array(node, items, old, path),
            Value::Object(map) => self.check_object(node, map, old, path),
            Value::Null | Value::Bool(_) => 0,
        }
    }

    fn check_string(&mut self, node: &SchemaNode, text: &str, path: &PathRef<'_>) -> usize {
        let checks = &node.validation;
        let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(limit) = checks.max_length.filter(|limit| length() > *limit) {
            self.report(
                FieldErrorKind::TooLong,
                path,
                None,
                format!("may not be more than {limit} bytes"),
            );
        } else if let Some(limit) = checks.min_length.filter(|limit| length() < *limit) {
            self.report_in_body(
                FieldErrorKind::Invalid,
                path,
                text,
                &format!("should be at least {limit} chars long"),
            );
        } else if let Some(pattern) = checks
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))
        {
            self.report_in_body(
                FieldErrorKind::Invalid,
                path,
                text,
                &format!("should match '{pattern}'"),
            );
        }
        let Some(format) = &checks.format else {
            return 1;
        };
        if !format.is_valid(text) {
            let expectation = format!("must be of type {}: {}", format.name, quote(text));
            self.report_in_body(FieldErrorKind::TypeInvalid, path, text, &expectation);
        }
        2
    }

    fn check_array(
        &mut self,
        node: &SchemaNode,
        items: &[Value],
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) -> usize {
        let mut matched = 2;
        if let Some(item) = &node.items {
            let old = old.and_then(Value::as_array).map(Vec::as_slice);
            for (index, value) in items.iter().enumerate() {
                let old = old.and_then(|old| find_correlated(node, old, index, value));
                matched += self.check_value(item, value, old, &path.index(index));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(limit) = node.validation.min_items.filter(|limit| size < *limit) {
            self.report_in_body(
                FieldErrorKind::Invalid,
                path,
                size,
                &format!("should have at least {limit} items"),
            );
        }
        if let Some(limit) = node.validation.max_items.filter(|limit| size > *limit) {
            self.report(
                FieldErrorKind::TooMany,
                path,
                Some(size.into()),
                format!("must have at most {limit} items"),
            );
        }
        matched
    }

    fn check_object(
        &mut self,
        node: &SchemaNode,
        map: &Map<String, Value>,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) -> usize {
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(limit) = node.validation.min_properties.filter(|limit| size < *limit) {
            self.report_in_body(
                FieldErrorKind::Invalid,
                path,
                size,
                &format!("should have at least {limit} properties"),
            );
            return 1;
        }
        if let Some(limit) = node.validation.max_properties.filter(|limit| size > *limit) {
            self.report(
                FieldErrorKind::TooMany,
                path,
                Some(size.into()),
                format!("must have at most {limit} items"),
            );
            return 1;
        }
        let mut matched = 1;
        let old = old.and_then(Value::as_object);
        for (name, value) in map {
            let old = old.and_then(|old| old.get(name));
            let field = path.field(name);
            match (node.properties.get(name), &node.additional_properties) {
                (Some(property), _) => matched += self.check_value(property, value, old, &field),
                (None, AdditionalProperties::Schema(schema)) => {
                    matched += self.check_value(schema, value, old, &field)
                }
                (None, AdditionalProperties::Allowed(false)) => {
                    let detail = format!("{path}.{name} in body is a forbidden property");
                    self.report(
                        FieldErrorKind::Invalid,
                        path,
                        Some(name.as_str().into()),
                        detail,
                    );
                }
                (None, AdditionalProperties::Unset | AdditionalProperties::Allowed(true)) => {}
            }
        }
        for name in node
            .validation
            .required
            .iter()
            .filter(|name| !map.contains_key(*name))
        {
            self.report(FieldErrorKind::Required, &path.field(name), None, "");
        }
        matched
    }
}

/// Returns what upstream's message about a wrong type calls the value where the schema
/// has a format: the format of a number in Go, nothing for other values.
fn go_format(value: &Value) -> &'static str {
    match value {
        Value::Number(number) => match NumericValue::from_json(number) {
            NumericValue::Integer(_) => "int64",
            NumericValue::Float(_) => "float64",
        },
        _ => "",
    }
}
