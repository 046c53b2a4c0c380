//! Judges objects: values, lists, embedded resources.

mod composition;
mod metadata;
mod numbers;
mod uniqueness;
mod value_validator;

use serde_json::Value;

pub(crate) use self::value_validator::{NIL_FIELD, find_correlated, is_unchanged};

use crate::cel;
use crate::error::{FieldError, FieldErrorKind};
use crate::node::SchemaNode;

/// All of validation, in upstream's order.
pub(crate) fn validate(root: &SchemaNode, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = value_validator::validate_value(root, new, old, "");
    errors.extend(metadata::check(root, new, false, ""));
    // Lists are judged as a whole: an object that had a duplicate before may keep its duplicates.
    let lists = uniqueness::find_duplicates(root, new, "");
    if !lists.is_empty()
        && old.is_none_or(|old| uniqueness::find_duplicates(root, old, "").is_empty())
    {
        errors.extend(lists);
    }
    errors.extend(validate_rules(root, new, old, &errors));
    errors
}

/// Rules see only objects that are as their schema says: otherwise they are not judged by them, which is said.
fn validate_rules(
    root: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    errors: &[FieldError],
) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    // There may be more errors than were noted.
    if errors.len() >= value_validator::MAX_ERRORS || errors.iter().any(is_blocking) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors \
                      to complete validation";
        return vec![FieldError::invalid(NIL_FIELD, Value::Null, detail)];
    }
    cel::validate_rules(root, true, new, old, "")
}

/// Judges a default at its place in the schema.
pub(crate) fn validate_default(node: &SchemaNode, default: &Value, place: &str) -> Vec<FieldError> {
    let errors = metadata::check(node, default, node.embedded_resource, place);
    if !errors.is_empty() {
        return errors;
    }
    let errors = value_validator::validate_value(node, default, None, place);
    if errors.is_empty() {
        cel::validate_rules(node, node.embedded_resource, default, None, place)
    } else {
        errors
    }
}

/// Whether an error leaves the object so broken that rules must not look at it.
fn is_blocking(error: &FieldError) -> bool {
    use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(
        error.kind,
        NotSupported | Required | TooLong | TooMany | TypeInvalid
    )
}
