//! Judges objects: values, lists, embedded resources.

mod composition;
mod lists;
mod metadata;
mod numbers;
mod values;

use serde_json::Value;

pub(crate) use self::values::{NO_FIELD, correlated, unchanged};

use crate::cel;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::Node;

/// All of validation, in upstream's order.
pub(crate) fn validate(root: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = values::check(root, new, old, "");
    errors.extend(metadata::check(root, new, false, ""));
    // Lists are judged as a whole: an object that had a duplicate before may keep its duplicates.
    let lists = lists::check(root, new, "");
    if !lists.is_empty() && old.is_none_or(|old| lists::check(root, old, "").is_empty()) {
        errors.extend(lists);
    }
    errors.extend(rules(root, new, old, &errors));
    errors
}

/// Rules see only objects that are as their schema says: otherwise they are not judged by them, which is said.
fn rules(root: &Node, new: &Value, old: Option<&Value>, errors: &[FieldError]) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    // There may be more errors than were noted.
    if errors.len() >= values::ERRORS_MAX || errors.iter().any(blocks_rules) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors \
                      to complete validation";
        return vec![FieldError::invalid(NO_FIELD, Value::Null, detail)];
    }
    cel::check(root, true, new, old, "")
}

/// Judges a default at its place in the schema.
pub(crate) fn validate_default(node: &Node, default: &Value, place: &str) -> Vec<FieldError> {
    let errors = metadata::check(node, default, node.embedded, place);
    if !errors.is_empty() {
        return errors;
    }
    let errors = values::check(node, default, None, place);
    if errors.is_empty() {
        cel::check(node, node.embedded, default, None, place)
    } else {
        errors
    }
}

/// Whether an error leaves the object so broken that rules must not look at it.
fn blocks_rules(error: &FieldError) -> bool {
    use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(
        error.kind,
        NotSupported | Required | TooLong | TooMany | TypeInvalid
    )
}
