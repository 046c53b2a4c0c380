//! The rule validator: evaluates the `x-kubernetes-validations` of a schema on an object.

use std::cell::OnceCell;
use std::sync::Arc;

use cel::Value as CelValue;
use cel::objects::OptionalValue;
use serde_json::Value;

use super::rule_field_path;
use super::schema_value::to_cel_value;
use crate::cel::{EvaluationError, EvaluationResult, OLD_SELF, VariableSource, failure};
use crate::compiled_rule::CompiledRule;
use crate::error::{FieldError, FieldErrorKind, NIL_FIELD};
use crate::node::{SchemaNode, SchemaType};
use crate::path::PathRef;
use crate::ratcheting::{find_correlated, is_unchanged};

/// The maximum number of steps of one rule on one value: about a tenth of a second.
const MAX_RULE_STEPS: u64 = 1_000_000;
/// The maximum number of steps of all rules on one object.
const MAX_OBJECT_STEPS: u64 = 10_000_000;

/// Evaluates the rules on an object, or on the value of the field `base`, and returns their errors.
///
/// `is_resource` says whether the value itself is a resource.
pub(crate) fn validate_rules(
    root: &SchemaNode,
    is_resource: bool,
    new: &Value,
    old: Option<&Value>,
    base: &str,
) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    let mut validator = RuleValidator {
        errors: Vec::new(),
        remaining_steps: MAX_OBJECT_STEPS,
    };
    validator.validate_value(root, is_resource, new, old, &PathRef::Root(base));
    validator.errors
}

/// The values of the variables of a rule.
struct RuleVariables {
    /// The value of `self`.
    self_value: CelValue,
    /// The value of `oldSelf`; an optional if the rule sets `optionalOldSelf`.
    old_self: Option<CelValue>,
}

impl VariableSource for RuleVariables {
    fn value(&self, name: &str) -> Option<EvaluationResult> {
        match name {
            "self" => Some(Ok(self.self_value.clone())),
            OLD_SELF => Some(
                self.old_self
                    .clone()
                    .ok_or_else(|| failure("no such attribute: oldSelf")),
            ),
            _ => None,
        }
    }
}

struct RuleValidator {
    errors: Vec<FieldError>,
    remaining_steps: u64,
}

impl RuleValidator {
    fn validate_value(
        &mut self,
        node: &SchemaNode,
        is_resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) {
        // Rules are not evaluated on null, and an old value of null counts as absent.
        if !node.has_rules || self.remaining_steps == 0 || new.is_null() {
            return;
        }
        let old = old.filter(|old| !old.is_null());
        if !node.rules.is_empty() {
            self.apply_rules(node, is_resource, new, old, path);
        }
        match new {
            Value::Object(fields) => {
                // The entries of an atomic map do not correlate with the old ones.
                let old = old.filter(|_| !node.atomic_map).and_then(Value::as_object);
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    if let Some(property) = node.properties.get(name) {
                        let path = path.field(name);
                        self.validate_value(
                            property,
                            property.embedded_resource,
                            value,
                            old,
                            &path,
                        );
                    } else if let Some(schema) = node.additional_properties.schema() {
                        let path = path.key(name);
                        self.validate_value(schema, schema.embedded_resource, value, old, &path);
                    }
                }
            }
            Value::Array(items) => {
                let Some(item) = &node.items else { return };
                let old = old.and_then(Value::as_array);
                for (index, value) in items.iter().enumerate() {
                    let old = old.and_then(|old| find_correlated(node, old, index, value));
                    let path = path.index(index);
                    self.validate_value(item, item.embedded_resource, value, old, &path);
                }
            }
            _ => {}
        }
    }

    /// Evaluates the rules of one schema on one value.
    fn apply_rules(
        &mut self,
        node: &SchemaNode,
        is_resource: bool,
        new: &Value,
        old: Option<&Value>,
        path: &PathRef<'_>,
    ) {
        let unchanged = OnceCell::new();
        let is_unchanged =
            || *unchanged.get_or_init(|| old.is_some_and(|old| is_unchanged(node, old, new)));
        let self_value = to_cel_value(node, is_resource, new);
        let old_value = old.map(|old| to_cel_value(node, is_resource, old));
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
            let variables = RuleVariables {
                self_value: self_value.clone(),
                old_self,
            };
            let Some(error) = self.apply_rule(rule, node, new, &variables, path) else {
                continue;
            };
            // Ratcheting: an unchanged value may keep violating a rule, unless the rule compares it with the old one.
            if rule.program.uses_old_self || !is_unchanged() {
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
        new: &Value,
        variables: &RuleVariables,
        path: &PathRef<'_>,
    ) -> Option<FieldError> {
        // Objects and lists are not shown, as upstream does not show them.
        let bad_value = (!matches!(
            node.schema_type,
            Some(SchemaType::Object | SchemaType::Array)
        ))
        .then(|| new.clone());
        let budget = MAX_RULE_STEPS.min(self.remaining_steps);
        let mut remaining = budget;
        let result = rule.program.evaluate(variables, &mut remaining);
        self.remaining_steps -= budget - remaining;
        let detail = match result {
            Ok(CelValue::Bool(true)) => return None,
            Ok(_) => {
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
                    failure_message(rule, variables)
                };
                let field = display_field(field);
                return Some(FieldError::new(rule.error_kind, field, bad_value, detail));
            }
            Err(EvaluationError::BudgetExceeded) => {
                self.remaining_steps = 0;
                let reason = "no further validation rules will be run due to call cost exceeds limit for rule";
                format!(
                    "'{}': {reason}: {}",
                    EvaluationError::BudgetExceeded,
                    rule.message
                )
            }
            Err(EvaluationError::Failed(problem)) if problem.starts_with("no such overload") => {
                let reason = "call arguments did not match a supported operator, function or macro signature for rule";
                format!("'{problem}': {reason}: {}", rule.message)
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
}

/// Returns the message of the message expression; the plain message if the expression fails or returns an empty text
/// or one with line breaks.
fn failure_message(rule: &CompiledRule, variables: &RuleVariables) -> String {
    let mut budget = MAX_RULE_STEPS;
    let result = rule
        .message_program
        .as_ref()
        .map(|program| program.evaluate(variables, &mut budget));
    match result {
        Some(Ok(CelValue::String(text)))
            if !text.trim().is_empty() && !text.contains(['\n', '\r']) =>
        {
            text.trim().to_owned()
        }
        _ => rule.message.clone(),
    }
}

/// Returns the field as errors show it: the object itself has no path.
fn display_field(field: String) -> String {
    if field.is_empty() {
        NIL_FIELD.to_owned()
    } else {
        field
    }
}
