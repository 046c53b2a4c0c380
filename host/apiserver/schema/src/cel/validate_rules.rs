//! Judges objects by the rules of their schema.

use std::sync::Arc;

use cel::Value as CelValue;
use cel::objects::OptionalValue;
use serde_json::Value;

use super::cel_value::to_cel_value;
use super::evaluator::EvaluationError;
use super::rule_compiler::CompiledRule;
use super::rule_field_path;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::{SchemaNode, SchemaType};
use crate::path::PathRef;
use crate::validate::{find_correlated, is_unchanged};

/// How many steps one rule may take on one value: about a tenth of a second.
const MAX_RULE_STEPS: u64 = 1_000_000;
/// How many steps all rules may take on one object.
const MAX_OBJECT_STEPS: u64 = 10_000_000;

/// Judges an object, or with `base` a value that stands in that field.
pub(crate) fn validate_rules(
    root: &SchemaNode,
    resource: bool,
    new: &Value,
    old: Option<&Value>,
    base: &str,
) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    let mut judge = RuleValidator {
        errors: Vec::new(),
        remaining_steps: MAX_OBJECT_STEPS,
    };
    judge.validate_value(root, resource, new, old, &PathRef::Root(base));
    judge.errors
}

struct RuleValidator {
    errors: Vec<FieldError>,
    remaining_steps: u64,
}

impl RuleValidator {
    fn validate_value(
        &mut self,
        node: &SchemaNode,
        resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) {
        // Rules say nothing of null, neither as a value nor as what was before.
        if !node.has_rules || self.remaining_steps == 0 || new.is_null() {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !node.rules.is_empty() {
            self.apply_rules(node, resource, new, old, path);
        }
        match new {
            Value::Object(fields) => {
                // What an atomic map held before says nothing of what it holds now.
                let old = old.filter(|_| !node.atomic_map).and_then(Value::as_object);
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    if let Some(property) = node.properties.get(name) {
                        self.validate_value(
                            property,
                            property.embedded_resource,
                            value,
                            old,
                            &path.field(name),
                        );
                    } else if let Some(schema) = node.additional_properties.schema() {
                        self.validate_value(
                            schema,
                            schema.embedded_resource,
                            value,
                            old,
                            &path.key(name),
                        );
                    }
                }
            }
            Value::Array(items) => {
                let Some(item) = &node.items else { return };
                let old = old.and_then(Value::as_array);
                for (index, value) in items.iter().enumerate() {
                    let old = old.and_then(|old| find_correlated(node, old, index, value));
                    self.validate_value(
                        item,
                        item.embedded_resource,
                        value,
                        old,
                        &path.index(index),
                    );
                }
            }
            _ => {}
        }
    }

    fn apply_rules(
        &mut self,
        node: &SchemaNode,
        resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) {
        let same = std::cell::OnceCell::new();
        let unchanged =
            || *same.get_or_init(|| old.is_some_and(|old| is_unchanged(node, old, new)));
        let value = to_cel_value(node, resource, new);
        let old_value = old.map(|old| to_cel_value(node, resource, old));
        for rule in node.rules.iter() {
            if rule.program.uses_old_self && old_value.is_none() && !rule.optional_old_self {
                continue;
            }
            let old_self = if rule.optional_old_self {
                let optional = old_value
                    .clone()
                    .map_or_else(OptionalValue::none, OptionalValue::of);
                Some(CelValue::Opaque(Arc::new(optional)))
            } else {
                old_value.clone()
            };
            let Some(error) = self.apply_rule(rule, node, (new, &value), old_self, path) else {
                continue;
            };
            if rule.program.uses_old_self || !unchanged() {
                self.errors.push(error);
            }
            if self.remaining_steps == 0 {
                return;
            }
        }
    }

    fn apply_rule(
        &mut self,
        rule: &CompiledRule,
        node: &SchemaNode,
        (new, value): (&Value, &CelValue),
        old: Option<CelValue>,
        path: &PathRef<'_>,
    ) -> Option<FieldError> {
        // Objects and lists are not shown: their fields are named by the rule.
        let bad_value = (!matches!(
            node.schema_type,
            Some(SchemaType::Object | SchemaType::Array)
        ))
        .then(|| new.clone());
        let mut budget = MAX_RULE_STEPS.min(self.remaining_steps);
        let given = budget;
        let outcome = rule.program.run(value.clone(), old.clone(), &mut budget);
        self.remaining_steps -= given - budget;
        let detail = match outcome {
            Ok(CelValue::Bool(true)) => return None,
            Ok(_) => {
                let detail = self.failure_message(rule, value, old);
                let field = rule_field_path::append(path, &rule.field_path);
                let bad_value = bad_value.filter(|_| {
                    !matches!(
                        rule.error_kind,
                        FieldErrorKind::Forbidden | FieldErrorKind::Required
                    )
                });
                let detail = if rule.error_kind == FieldErrorKind::Duplicate {
                    String::new()
                } else {
                    detail
                };
                return Some(FieldError::new(
                    rule.error_kind,
                    display_field(field),
                    bad_value,
                    detail,
                ));
            }
            Err(EvaluationError::BudgetExceeded) => {
                self.remaining_steps = 0;
                let why = "no further validation rules will be run due to call cost exceeds limit for rule";
                format!(
                    "'{}': {why}: {}",
                    EvaluationError::BudgetExceeded,
                    rule.message
                )
            }
            Err(EvaluationError::Failed(problem)) if problem.starts_with("no such overload") => {
                let why = "call arguments did not match a supported operator, function or macro signature for rule";
                format!("'{problem}': {why}: {}", rule.message)
            }
            Err(EvaluationError::Failed(problem)) => {
                format!("{problem} evaluating rule: {}", rule.message)
            }
        };
        Some(FieldError::new(
            FieldErrorKind::Invalid,
            display_field(path.to_string()),
            bad_value,
            detail,
        ))
    }

    /// What the message expression says; the plain message where it says nothing usable.
    fn failure_message(
        &mut self,
        rule: &CompiledRule,
        value: &CelValue,
        old: Option<CelValue>,
    ) -> String {
        let mut budget = MAX_RULE_STEPS;
        let outcome = rule
            .message_program
            .as_ref()
            .map(|message| message.run(value.clone(), old, &mut budget));
        match outcome {
            Some(Ok(CelValue::String(text)))
                if !text.trim().is_empty() && !text.contains(['\n', '\r']) =>
            {
                text.trim().to_owned()
            }
            _ => rule.message.clone(),
        }
    }
}

/// The object itself has no name of its own.
fn display_field(field: String) -> String {
    if field.is_empty() {
        crate::validate::NIL_FIELD.to_owned()
    } else {
        field
    }
}
