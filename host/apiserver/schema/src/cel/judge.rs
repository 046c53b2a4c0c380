//! Judges objects by the rules of their schema.

use std::sync::Arc;

use cel::Value as CelValue;
use cel::objects::OptionalValue;
use serde_json::Value;

use super::compile::Rule;
use super::evaluate::Fault;
use super::field_path;
use super::value::convert;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::{Node, Type};
use crate::path::Path;
use crate::validate::{correlated, unchanged};

/// How many steps one rule may take on one value: about a tenth of a second.
const RULE_BUDGET: u64 = 1_000_000;
/// How many steps all rules may take on one object.
const OBJECT_BUDGET: u64 = 10_000_000;

/// Judges an object, or with `base` a value that stands in that field.
pub(crate) fn check(
    root: &Node,
    resource: bool,
    new: &Value,
    old: Option<&Value>,
    base: &str,
) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    let mut judge = Judge {
        errors: Vec::new(),
        budget: OBJECT_BUDGET,
    };
    judge.visit(root, resource, new, old, &Path::Root(base));
    judge.errors
}

struct Judge {
    errors: Vec<FieldError>,
    budget: u64,
}

impl Judge {
    fn visit(
        &mut self,
        node: &Node,
        resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
    ) {
        // Rules say nothing of null, neither as a value nor as what was before.
        if !node.has_rules || self.budget == 0 || new.is_null() {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !node.rules.is_empty() {
            self.rules(node, resource, new, old, path);
        }
        match new {
            Value::Object(fields) => {
                // What an atomic map held before says nothing of what it holds now.
                let old = old.filter(|_| !node.atomic_map).and_then(Value::as_object);
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    if let Some(property) = node.properties.get(name) {
                        self.visit(property, property.embedded, value, old, &path.field(name));
                    } else if let Some(schema) = node.additional.schema() {
                        self.visit(schema, schema.embedded, value, old, &path.key(name));
                    }
                }
            }
            Value::Array(items) => {
                let Some(item) = &node.items else { return };
                let old = old.and_then(Value::as_array);
                for (index, value) in items.iter().enumerate() {
                    let old = old.and_then(|old| correlated(node, old, index, value));
                    self.visit(item, item.embedded, value, old, &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn rules(
        &mut self,
        node: &Node,
        resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
    ) {
        let same = std::cell::OnceCell::new();
        let unchanged = || *same.get_or_init(|| old.is_some_and(|old| unchanged(node, old, new)));
        let value = convert(node, resource, new);
        let old_value = old.map(|old| convert(node, resource, old));
        for rule in node.rules.iter() {
            if rule.program.uses_old && old_value.is_none() && !rule.optional_old {
                continue;
            }
            let old_self = if rule.optional_old {
                let optional = old_value
                    .clone()
                    .map_or_else(OptionalValue::none, OptionalValue::of);
                Some(CelValue::Opaque(Arc::new(optional)))
            } else {
                old_value.clone()
            };
            let Some(error) = self.rule(rule, node, (new, &value), old_self, path) else {
                continue;
            };
            if rule.program.uses_old || !unchanged() {
                self.errors.push(error);
            }
            if self.budget == 0 {
                return;
            }
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        node: &Node,
        (new, value): (&Value, &CelValue),
        old: Option<CelValue>,
        path: &Path<'_>,
    ) -> Option<FieldError> {
        // Objects and lists are not shown: their fields are named by the rule.
        let bad_value =
            (!matches!(node.kind, Some(Type::Object | Type::Array))).then(|| new.clone());
        let mut budget = RULE_BUDGET.min(self.budget);
        let given = budget;
        let outcome = rule.program.run(value.clone(), old.clone(), &mut budget);
        self.budget -= given - budget;
        let detail = match outcome {
            Ok(CelValue::Bool(true)) => return None,
            Ok(_) => {
                let detail = self.message(rule, value, old);
                let field = field_path::extend(path, &rule.field);
                let bad_value = bad_value.filter(|_| {
                    !matches!(
                        rule.kind,
                        FieldErrorKind::Forbidden | FieldErrorKind::Required
                    )
                });
                let detail = if rule.kind == FieldErrorKind::Duplicate {
                    String::new()
                } else {
                    detail
                };
                return Some(FieldError::new(rule.kind, named(field), bad_value, detail));
            }
            Err(Fault::Budget) => {
                self.budget = 0;
                let why = "no further validation rules will be run due to call cost exceeds limit for rule";
                format!("'{}': {why}: {}", Fault::Budget, rule.text)
            }
            Err(Fault::Failed(problem)) if problem.starts_with("no such overload") => {
                let why = "call arguments did not match a supported operator, function or macro signature for rule";
                format!("'{problem}': {why}: {}", rule.text)
            }
            Err(Fault::Failed(problem)) => format!("{problem} evaluating rule: {}", rule.text),
        };
        Some(FieldError::new(
            FieldErrorKind::Invalid,
            named(path.to_string()),
            bad_value,
            detail,
        ))
    }

    /// What the message expression says; the plain message where it says nothing usable.
    fn message(&mut self, rule: &Rule, value: &CelValue, old: Option<CelValue>) -> String {
        let mut budget = RULE_BUDGET;
        let outcome = rule
            .message
            .as_ref()
            .map(|message| message.run(value.clone(), old, &mut budget));
        match outcome {
            Some(Ok(CelValue::String(text)))
                if !text.trim().is_empty() && !text.contains(['\n', '\r']) =>
            {
                text.trim().to_owned()
            }
            _ => rule.text.clone(),
        }
    }
}

/// The object itself has no name of its own.
fn named(field: String) -> String {
    if field.is_empty() {
        crate::validate::NO_FIELD.to_owned()
    } else {
        field
    }
}
