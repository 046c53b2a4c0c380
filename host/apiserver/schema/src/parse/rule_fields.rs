//! Checks the fields of rules that need no compiler.

use crate::error::FieldError;
use crate::path::PathRef;
use crate::rules::ValidationRule;

/// The supported values of `reason`.
const RULE_REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// Checks the fields of one rule.
pub(super) fn check(rule: &ValidationRule<'_>, path: &PathRef<'_>, errors: &mut Vec<FieldError>) {
    let has_line_break = |text: &str| text.contains(['\n', '\r']);
    let message = path.field("message");
    let trimmed = rule.message.trim();
    if rule.rule.trim().is_empty() {
        errors.push(FieldError::required(
            path.field("rule"),
            "rule is not specified",
        ));
    } else if !rule.message.is_empty() && trimmed.is_empty() {
        errors.push(FieldError::invalid(
            message,
            rule.message,
            "must be non-empty if specified",
        ));
    } else if has_line_break(trimmed) {
        errors.push(FieldError::invalid(
            message,
            rule.message,
            "must not contain line breaks",
        ));
    } else if has_line_break(rule.rule.trim()) && trimmed.is_empty() {
        errors.push(FieldError::required(
            message,
            "message must be specified if rule contains line breaks",
        ));
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        errors.push(FieldError::required(
            path.field("messageExpression"),
            "must be non-empty if specified",
        ));
    }
    if let Some(reason) = rule.reason.filter(|reason| !RULE_REASONS.contains(reason)) {
        errors.push(FieldError::unsupported(
            path.field("reason"),
            reason,
            &RULE_REASONS,
        ));
    }
    let field_path = path.field("fieldPath");
    if !rule.field_path.is_empty() && rule.field_path.trim().is_empty() {
        errors.push(FieldError::invalid(
            field_path,
            rule.field_path,
            "must be non-empty if specified",
        ));
    }
    if has_line_break(rule.field_path) {
        errors.push(FieldError::invalid(
            field_path,
            rule.field_path,
            "must not contain line breaks",
        ));
    }
}
