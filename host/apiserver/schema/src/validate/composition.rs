//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::Value;

use super::values::Walk;
use crate::error::{FieldError, quoted};
use crate::node::Node;
use crate::path::Path;

/// One alternative that was tried.
struct Attempt {
    errors: Vec<FieldError>,
    matched: usize,
}

fn attempt(
    walk: &mut Walk<'_>,
    node: &Node,
    new: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
) -> Attempt {
    let before = walk.errors.len();
    let matched = walk.value(node, new, old, path);
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
    walk: &mut Walk<'_>,
    node: &Node,
    new: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
) -> usize {
    let checks = &node.checks;
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
        && attempt(walk, not, new, None, path).errors.is_empty()
    {
        walk.report_whole(format!(
            "{} must not validate the schema (not)",
            quoted(&path.to_string())
        ));
    }
    matched
}

fn any_of(
    walk: &mut Walk<'_>,
    nodes: &[Node],
    new: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
) -> usize {
    let mut best = None;
    for node in nodes {
        let attempt = attempt(walk, node, new, old, path);
        if attempt.errors.is_empty() {
            return attempt.matched;
        }
        keep_best(&mut best, attempt);
    }
    walk.report_whole(format!(
        "{} must validate at least one schema (anyOf)",
        quoted(&path.to_string())
    ));
    take(walk, best)
}

fn one_of(
    walk: &mut Walk<'_>,
    nodes: &[Node],
    new: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
) -> usize {
    let mut best = None;
    let mut valid = Vec::new();
    for node in nodes {
        let attempt = attempt(walk, node, new, old, path);
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
    let path = quoted(&path.to_string());
    walk.report_whole(format!(
        "{path} must validate one and only one schema (oneOf). {found}"
    ));
    if valid.is_empty() {
        take(walk, best)
    } else {
        0
    }
}

fn all_of(
    walk: &mut Walk<'_>,
    nodes: &[Node],
    new: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
) -> usize {
    let mut matched = 0;
    let mut valid = 0;
    for node in nodes {
        let attempt = attempt(walk, node, new, old, path);
        valid += usize::from(attempt.errors.is_empty());
        matched += attempt.matched;
        walk.errors.extend(attempt.errors);
    }
    if valid < nodes.len() {
        let none = if valid == 0 { ". None validated" } else { "" };
        walk.report_whole(format!(
            "{} must validate all the schemas (allOf){none}",
            quoted(&path.to_string())
        ));
    }
    matched
}

fn take(walk: &mut Walk<'_>, attempt: Option<Attempt>) -> usize {
    let Some(attempt) = attempt else { return 0 };
    walk.errors.extend(attempt.errors);
    attempt.matched
}
