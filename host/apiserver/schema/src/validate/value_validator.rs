//! Value validation: types, formats, bounds, required fields, nested schemas.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::numbers::{self, NumericValue};
use super::{composition, uniqueness};
use crate::error::{FieldError, FieldErrorKind, quote};
use crate::node::{AdditionalProperties, ListType, SchemaNode, SchemaType};
use crate::path::PathRef;

/// Checks `new` against a schema; `base` is the field that `new` stands in, empty for an object of its own.
pub(super) fn validate_value(
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    base: &str,
) -> Vec<FieldError> {
    let mut walk = ValueValidator {
        base,
        errors: Vec::new(),
    };
    walk.check_value(node, new, old, &PathRef::Root(""));
    deduplicate(walk.errors)
}

/// Several schemas may find the same mistake in one value: it is told once.
fn deduplicate(errors: Vec<FieldError>) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    let keys: Vec<bool> = errors
        .iter()
        .map(|error| seen.insert((error.kind, &error.field, &error.detail)))
        .collect();
    errors
        .into_iter()
        .zip(keys)
        .filter_map(|(error, first)| first.then_some(error))
        .collect()
}

/// Errors that one walk notes. Each carries the value that it is about, and a
/// list has room for a hundred thousand of them; a `Status` names a hundred.
pub(super) const MAX_ERRORS: usize = 200;

/// The state of one walk over an object.
pub(super) struct ValueValidator<'a> {
    base: &'a str,
    pub(super) errors: Vec<FieldError>,
}

/// What a field is called that has no name: the object itself, seen from itself.
pub(crate) const NIL_FIELD: &str = "<nil>";

impl ValueValidator<'_> {
    fn field_name(&self, path: &str) -> String {
        match (self.base, path.trim_start_matches('.')) {
            ("", "") => NIL_FIELD.to_owned(),
            ("", path) => path.to_owned(),
            (base, "") => base.to_owned(),
            (base, path) => format!("{base}.{path}"),
        }
    }

    /// Reports an error whose text begins with `PATH in body`.
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

    /// Reports an error with a text of its own.
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

    /// Reports what concerns the whole object, whatever the path.
    pub(super) fn report_root(&mut self, detail: String) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let field = self.field_name("");
        self.errors.push(FieldError::invalid(field, "", detail));
    }

    /// Checks one value; returns how many checks it met, by which the best of failed alternatives is chosen.
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
        let (found, fits) = match value {
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
        if !fits {
            let expectation = format!("must be of type {expected}: {}", quote(found));
            self.report_in_body(FieldErrorKind::TypeInvalid, path, found, &expectation);
        }
        fits
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

/// The old value of a list's entry: of the same key in a map list, of the same index in one without a list type.
pub(crate) fn find_correlated<'a>(
    node: &SchemaNode,
    old: &'a [Value],
    index: usize,
    new: &Value,
) -> Option<&'a Value> {
    match &node.list_type {
        ListType::Untyped => old.get(index),
        ListType::Atomic | ListType::Set => None,
        ListType::Map(keys) => old
            .iter()
            .find(|old| uniqueness::has_same_key(keys, old, new)),
    }
}

/// Whether a value is what it was, the order of map lists aside.
pub(crate) fn is_unchanged(node: &SchemaNode, old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let Some(item) = node.items.as_deref() else {
                return false;
            };
            let correlates = matches!(node.list_type, ListType::Untyped | ListType::Map(_));
            correlates
                && old.len() == new.len()
                && new.iter().enumerate().all(|(index, new)| {
                    find_correlated(node, old, index, new)
                        .is_some_and(|old| is_unchanged(item, old, new))
                })
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && new.iter().all(|(name, new)| {
                    let child = node
                        .properties
                        .get(name)
                        .or_else(|| node.additional_properties.schema());
                    match (old.get(name), child) {
                        (Some(old), Some(child)) => is_unchanged(child, old, new),
                        (Some(old), None) => old == new,
                        (None, _) => false,
                    }
                })
        }
        _ => false,
    }
}
