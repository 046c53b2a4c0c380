//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::Value;

use super::value_validator::ValueValidator;
use crate::error::{FieldError, quote};
use crate::node::SchemaNode;
use crate::path::PathRef;

/// One alternative that was tried.
struct Attempt {
    errors: Vec<FieldError>,
    matched: usize,
}

fn try_schema(
    walk: &mut ValueValidator<'_>,
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> Attempt {
    let before = walk.errors.len();
    let matched = walk.check_value(node, new, old, path);
    Attempt {
        errors: walk.errors.split_off(before),
        matched,
    }
}

/// Keeps the attempt that met most checks; the earlier one of equals.
fn keep_best(best: &mut Option<Attempt>, candidate: Attempt) {
    if best
        .as_ref()
        .is_none_or(|best| candidate.matched > best.matched)
    {
        *best = Some(candidate);
    }
}

/// Checks all four; returns how many checks were met on the way.
pub(super) fn check(
    walk: &mut ValueValidator<'_>,
    node: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let checks = &node.validation;
    let mut matched = 0;
    if !checks.any_of.is_empty() {
        matched += any_of(walk, &checks.any_of, new, old, path);
    }
    if !checks.one_of.is_empty() {
        matched += one_of(walk, &checks.one_of, new, old, path);
    }
    if !checks.all_of.is_empty() {
        matched += all_of(walk, &checks.all_of, new, old, path);
    }
    if let Some(not) = &checks.not
        && try_schema(walk, not, new, None, path).errors.is_empty()
    {
        walk.report_root(format!(
            "{} must not validate the schema (not)",
            quote(&path.to_string())
        ));
    }
    matched
}

fn any_of(
    walk: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut best = None;
    for node in nodes {
        let attempt = try_schema(walk, node, new, old, path);
        if attempt.errors.is_empty() {
            return attempt.matched;
        }
        keep_best(&mut best, attempt);
    }
    walk.report_root(format!(
        "{} must validate at least one schema (anyOf)",
        quote(&path.to_string())
    ));
    report_attempt(walk, best)
}

fn one_of(
    walk: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut best = None;
    let mut valid = Vec::new();
    for node in nodes {
        let attempt = try_schema(walk, node, new, old, path);
        if attempt.errors.is_empty() {
            valid.push(attempt.matched);
        } else {
            keep_best(&mut best, attempt);
        }
    }
    let found = match valid.as_slice() {
        [matched] => return *matched,
        [] => "Found none valid".to_owned(),
        several => format!("Found {} valid alternatives", several.len()),
    };
    let path = quote(&path.to_string());
    walk.report_root(format!(
        "{path} must validate one and only one schema (oneOf). {found}"
    ));
    if valid.is_empty() {
        report_attempt(walk, best)
    } else {
        0
    }
}

fn all_of(
    walk: &mut ValueValidator<'_>,
    nodes: &[SchemaNode],
    new: &Value,
    old: Option<&Value>,
    path: &PathRef<'_>,
) -> usize {
    let mut matched = 0;
    let mut valid = 0;
    for node in nodes {
        let attempt = try_schema(walk, node, new, old, path);
        valid += usize::from(attempt.errors.is_empty());
        matched += attempt.matched;
        walk.errors.extend(attempt.errors);
    }
    if valid < nodes.len() {
        let none = if valid == 0 { ". None validated" } else { "" };
        walk.report_root(format!(
            "{} must validate all the schemas (allOf){none}",
            quote(&path.to_string())
        ));
    }
    matched
}

fn report_attempt(walk: &mut ValueValidator<'_>, attempt: Option<Attempt>) -> usize {
    let Some(attempt) = attempt else { return 0 };
    walk.errors.extend(attempt.errors);
    attempt.matched
}
