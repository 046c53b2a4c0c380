//! Validation of `allOf`, `anyOf`, `oneOf`, and `not`.

use serde_json::Value;

use super::value_validator::ValueValidator;
use crate::error::{FieldError, quote};
use crate::node::SchemaNode;
use crate::path::PathRef;

/// The result of validating a value against one of several schemas.
struct Attempt {
    errors: Vec<FieldError>,
    /// The number of checks that passed.
    matched: usize,
}

fn try_schema(
    validator: &mut ValueValidator<'_>,
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> Attempt {
    let before = validator.errors.len();
    let matched = validator.check_value(node, new, old, path);
    Attempt {
        errors: validator.errors.split_off(before),
        matched,
    }
}

/// Keeps the attempt that passed most checks, or the earlier one of two equal ones.
fn keep_best(best: &mut Option<Attempt>, candidate: Attempt) {
    if best
        .as_ref()
        .is_none_or(|best| candidate.matched > best.matched)
    {
        *best = Some(candidate);
    }
}

/// Checks all four keywords; returns the number of checks that passed.
pub(super) fn check(
    validator: &mut ValueValidator<'_>,
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let checks = &node.validation;
    let mut matched = 0;
    if !checks.any_of.is_empty() {
        matched += any_of(validator, &checks.any_of, new, old, path);
    }
    if !checks.one_of.is_empty() {
        matched += one_of(validator, &checks.one_of, new, old, path);
    }
    if !checks.all_of.is_empty() {
        matched += all_of(validator, &checks.all_of, new, old, path);
    }
    if let Some(not) = &checks.not
        && try_schema(validator, not, new, None, path)
            .errors
            .is_empty()
    {
        validator.report_root(format!(
            "{} must not validate the schema (not)",
            quote(&path.to_string())
        ));
    }
    matched
}

fn any_of(
    validator: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut best = None;
    for node in nodes {
        let attempt = try_schema(validator, node, new, old, path);
        if attempt.errors.is_empty() {
            return attempt.matched;
        }
        keep_best(&mut best, attempt);
    }
    validator.report_root(format!(
        "{} must validate at least one schema (anyOf)",
        quote(&path.to_string())
    ));
    report_attempt(validator, best)
}

fn one_of(
    validator: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut best = None;
    let mut valid = Vec::new();
    for node in nodes {
        let attempt = try_schema(validator, node, new, old, path);
        if attempt.errors.is_empty() {
            valid.push(attempt.matched);
        } else {
            keep_best(&mut best, attempt);
        }
    }
    let outcome = match valid.as_slice() {
        [matched] => return *matched,
        [] => "Found none valid".to_owned(),
        several => format!("Found {} valid alternatives", several.len()),
    };
    let path = quote(&path.to_string());
    validator.report_root(format!(
        "{path} must validate one and only one schema (oneOf). {outcome}"
    ));
    if valid.is_empty() {
        report_attempt(validator, best)
    } else {
        0
    }
}

fn all_of(
    validator: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut matched = 0;
    let mut valid = 0;
    for node in nodes {
        let attempt = try_schema(validator, node, new, old, path);
        valid += usize::from(attempt.errors.is_empty());
        matched += attempt.matched;
        validator.errors.extend(attempt.errors);
    }
    if valid < nodes.len() {
        let none = if valid == 0 { ". None validated" } else { "" };
        validator.report_root(format!(
            "{} must validate all the schemas (allOf){none}",
            quote(&path.to_string())
        ));
    }
    matched
}

/// Reports the errors of an attempt; returns the number of checks that passed.
fn report_attempt(validator: &mut ValueValidator<'_>, attempt: Option<Attempt>) -> usize {
    let Some(attempt) = attempt else { return 0 };
    validator.errors.extend(attempt.errors);
    attempt.matched
}
