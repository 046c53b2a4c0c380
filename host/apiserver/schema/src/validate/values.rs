//! Value validation: types, formats, bounds, required fields, nested schemas.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::numbers::{self, Numeric};
use super::{composition, lists};
use crate::error::{FieldError, FieldErrorKind, quoted};
use crate::node::{Additional, ListType, Node, Type};
use crate::path::Path;

/// Checks `new` against a schema; `base` is the field that `new` stands in, empty for an object of its own.
pub(super) fn check(node: &Node, new: &Value, old: Option<&Value>, base: &str) -> Vec<FieldError> {
    let mut walk = Walk {
        base,
        errors: Vec::new(),
    };
    walk.value(node, new, old, &Path::Root(""));
    once_each(walk.errors)
}

/// Several schemas may find the same mistake in one value: it is told once.
fn once_each(errors: Vec<FieldError>) -> Vec<FieldError> {
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
pub(super) const ERRORS_MAX: usize = 200;

/// The state of one walk over an object.
pub(super) struct Walk<'a> {
    base: &'a str,
    pub(super) errors: Vec<FieldError>,
}

/// What a field is called that has no name: the object itself, seen from itself.
pub(crate) const NO_FIELD: &str = "<nil>";

impl Walk<'_> {
    fn field(&self, path: &str) -> String {
        match (self.base, path.trim_start_matches('.')) {
            ("", "") => NO_FIELD.to_owned(),
            ("", path) => path.to_owned(),
            (base, "") => base.to_owned(),
            (base, path) => format!("{base}.{path}"),
        }
    }

    /// Reports an error whose text begins with `PATH in body`.
    pub(super) fn fail(
        &mut self,
        kind: FieldErrorKind,
        path: &Path<'_>,
        value: impl Into<Value>,
        expectation: &str,
    ) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let path = path.to_string();
        let detail = format!("{path} in body {expectation}");
        self.errors.push(FieldError::new(
            kind,
            self.field(&path),
            Some(value.into()),
            detail,
        ));
    }

    /// Reports an error with a text of its own.
    pub(super) fn report(
        &mut self,
        kind: FieldErrorKind,
        path: &Path<'_>,
        value: Option<Value>,
        detail: impl Into<String>,
    ) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let field = self.field(&path.to_string());
        self.errors
            .push(FieldError::new(kind, field, value, detail));
    }

    /// Reports what concerns the whole object, whatever the path.
    pub(super) fn report_whole(&mut self, detail: String) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let field = self.field("");
        self.errors.push(FieldError::invalid(field, "", detail));
    }

    /// Checks one value; returns how many checks it met, by which the best of failed alternatives is chosen.
    pub(super) fn value(
        &mut self,
        node: &Node,
        new: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
    ) -> usize {
        let before = self.errors.len();
        let mut matched = usize::from(self.kind(node, new, path));
        if new.is_null() {
            self.allowed(node, new, path);
        } else {
            matched += composition::check(self, node, new, old, path);
            matched += self.by_kind(node, new, old, path);
            self.allowed(node, new, path);
        }
        if self.errors.len() > before && old.is_some_and(|old| unchanged(node, old, new)) {
            self.errors.truncate(before);
        }
        matched
    }

    fn kind(&mut self, node: &Node, value: &Value, path: &Path<'_>) -> bool {
        let (found, fits) = match value {
            Value::Null => (
                "null",
                node.kind.is_none() && !node.int_or_string || node.nullable,
            ),
            Value::Bool(_) => ("boolean", node.kind == Some(Type::Boolean)),
            Value::Number(number) => match Numeric::of(number) {
                Numeric::Integer(_) => (
                    "integer",
                    node.int_or_string || matches!(node.kind, Some(Type::Integer | Type::Number)),
                ),
                Numeric::Float(float) => {
                    let whole = numbers::is_whole(float);
                    let integer = (node.int_or_string || node.kind == Some(Type::Integer)) && whole;
                    ("number", integer || node.kind == Some(Type::Number))
                }
            },
            Value::String(_) => (
                "string",
                node.int_or_string || node.kind == Some(Type::String),
            ),
            Value::Array(_) => ("array", node.kind == Some(Type::Array)),
            Value::Object(_) => ("object", node.kind == Some(Type::Object)),
        };
        let expected = match node.kind {
            _ if node.int_or_string => "integer,string",
            Some(kind) => kind.name(),
            None => return true,
        };
        if !fits {
            let expectation = format!("must be of type {expected}: {}", quoted(found));
            self.fail(FieldErrorKind::TypeInvalid, path, found, &expectation);
        }
        fits
    }

    fn allowed(&mut self, node: &Node, value: &Value, path: &Path<'_>) {
        let Some(allowed) = &node.checks.allowed else {
            return;
        };
        if allowed.iter().any(|allowed| numbers::equal(allowed, value)) {
            return;
        }
        let names = allowed.iter().map(|allowed| match allowed {
            Value::String(text) => quoted(text),
            other => quoted(&other.to_string()),
        });
        let detail = format!("supported values: {}", names.collect::<Vec<_>>().join(", "));
        self.report(
            FieldErrorKind::NotSupported,
            path,
            Some(value.clone()),
            detail,
        );
    }

    fn by_kind(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) -> usize {
        match new {
            Value::String(text) => self.string(node, text, path),
            Value::Number(number) => {
                numbers::check(self, &node.checks, number, path);
                1
            }
            Value::Array(items) => self.array(node, items, old, path),
            Value::Object(map) => self.object(node, map, old, path),
            Value::Null | Value::Bool(_) => 0,
        }
    }

    fn string(&mut self, node: &Node, text: &str, path: &Path<'_>) -> usize {
        let checks = &node.checks;
        let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(limit) = checks.max_length.filter(|limit| length() > *limit) {
            self.report(
                FieldErrorKind::TooLong,
                path,
                None,
                format!("may not be more than {limit} bytes"),
            );
        } else if let Some(limit) = checks.min_length.filter(|limit| length() < *limit) {
            self.fail(
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
            self.fail(
                FieldErrorKind::Invalid,
                path,
                text,
                &format!("should match '{pattern}'"),
            );
        }
        let Some(format) = &checks.format else {
            return 1;
        };
        if !format.accepts(text) {
            let expectation = format!("must be of type {}: {}", format.name, quoted(text));
            self.fail(FieldErrorKind::TypeInvalid, path, text, &expectation);
        }
        2
    }

    fn array(
        &mut self,
        node: &Node,
        items: &[Value],
        old: Option<&Value>,
        path: &Path<'_>,
    ) -> usize {
        let mut matched = 2;
        if let Some(item) = &node.items {
            let old = old.and_then(Value::as_array).map(Vec::as_slice);
            for (index, value) in items.iter().enumerate() {
                let old = old.and_then(|old| correlated(node, old, index, value));
                matched += self.value(item, value, old, &path.index(index));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(limit) = node.checks.min_items.filter(|limit| size < *limit) {
            self.fail(
                FieldErrorKind::Invalid,
                path,
                size,
                &format!("should have at least {limit} items"),
            );
        }
        if let Some(limit) = node.checks.max_items.filter(|limit| size > *limit) {
            self.report(
                FieldErrorKind::TooMany,
                path,
                Some(size.into()),
                format!("must have at most {limit} items"),
            );
        }
        matched
    }

    fn object(
        &mut self,
        node: &Node,
        map: &Map<String, Value>,
        old: Option<&Value>,
        path: &Path<'_>,
    ) -> usize {
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(limit) = node.checks.min_properties.filter(|limit| size < *limit) {
            self.fail(
                FieldErrorKind::Invalid,
                path,
                size,
                &format!("should have at least {limit} properties"),
            );
            return 1;
        }
        if let Some(limit) = node.checks.max_properties.filter(|limit| size > *limit) {
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
            match (node.properties.get(name), &node.additional) {
                (Some(property), _) => matched += self.value(property, value, old, &field),
                (None, Additional::Schema(schema)) => {
                    matched += self.value(schema, value, old, &field)
                }
                (None, Additional::Allowed(false)) => {
                    let detail = format!("{path}.{name} in body is a forbidden property");
                    self.report(
                        FieldErrorKind::Invalid,
                        path,
                        Some(name.as_str().into()),
                        detail,
                    );
                }
                (None, Additional::Unset | Additional::Allowed(true)) => {}
            }
        }
        for name in node
            .checks
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
pub(crate) fn correlated<'a>(
    node: &Node,
    old: &'a [Value],
    index: usize,
    new: &Value,
) -> Option<&'a Value> {
    match &node.list {
        ListType::Untyped => old.get(index),
        ListType::Atomic | ListType::Set => None,
        ListType::Map(keys) => old.iter().find(|old| lists::same_key(keys, old, new)),
    }
}

/// Whether a value is what it was, the order of map lists aside.
pub(crate) fn unchanged(node: &Node, old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    match (old, new) {
        (Value::Array(old), Value::Array(new)) => {
            let Some(item) = node.items.as_deref() else {
                return false;
            };
            let correlates = matches!(node.list, ListType::Untyped | ListType::Map(_));
            correlates
                && old.len() == new.len()
                && new.iter().enumerate().all(|(index, new)| {
                    correlated(node, old, index, new).is_some_and(|old| unchanged(item, old, new))
                })
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && new.iter().all(|(name, new)| {
                    let child = node
                        .properties
                        .get(name)
                        .or_else(|| node.additional.schema());
                    match (old.get(name), child) {
                        (Some(old), Some(child)) => unchanged(child, old, new),
                        (Some(old), None) => old == new,
                        (None, _) => false,
                    }
                })
        }
        _ => false,
    }
}
