//! Validates objects: values, uniqueness in lists, metadata of embedded resources, and rules.

mod composition;
mod numbers;
mod value_validator;

mod metadata;
mod uniqueness;

use serde_json::Value;

use crate::error::{FieldError, FieldErrorKind, NIL_FIELD};
use crate::node::SchemaNode;
use crate::rules;

/// Validates an object in upstream's order.
pub(crate) fn validate(root: &SchemaNode, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let errors = value_validator::validate_value(root, new, old, "");
    validate_structure(root, new, old, errors)
}

/// Validates an object after a write to `/status`.
pub(crate) fn validate_status(
    root: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    const STATUS: &str = "status";
    let errors = match (root.properties.get(STATUS), new.get(STATUS)) {
        (Some(node), Some(status)) => {
            let old = old.and_then(|old| old.get(STATUS));
            value_validator::validate_value(node, status, old, STATUS)
        }
        _ => Vec::new(),
    };
    validate_structure(root, new, old, errors)
}

/// Adds the errors that concern more than one value to those of the values.
fn validate_structure(
    root: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    mut errors: Vec<FieldError>,
) -> Vec<FieldError> {
    errors.extend(metadata::check(root, new, false, ""));
    // As upstream, if any list of the old object has duplicates, those of the new object are not reported.
    let duplicates = uniqueness::find_duplicates(root, new, "");
    if !duplicates.is_empty()
        && old.is_none_or(|old| uniqueness::find_duplicates(root, old, "").is_empty())
    {
        errors.extend(duplicates);
    }
    errors.extend(validate_rules(root, new, old, &errors));
    errors
}

/// Evaluates the rules, unless other errors show that the object does not have the structure that they expect; that is
/// an error, too.
fn validate_rules(
    root: &SchemaNode,
    new: &Value,
    old: Option<&Value>,
    errors: &[FieldError],
) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    // If there are this many errors, more may have been dropped.
    if errors.len() >= value_validator::MAX_ERRORS || errors.iter().any(is_blocking) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors \
                      to complete validation";
        return vec![FieldError::invalid(NIL_FIELD, Value::Null, detail)];
    }
    rules::validate_rules(root, true, new, old, "")
}

/// Validates a default; `field` is its path in the schema.
pub(crate) fn validate_default(node: &SchemaNode, default: &Value, field: &str) -> Vec<FieldError> {
    let errors = metadata::check(node, default, node.embedded_resource, field);
    if !errors.is_empty() {
        return errors;
    }
    let errors = value_validator::validate_value(node, default, None, field);
    if errors.is_empty() {
        rules::validate_rules(node, node.embedded_resource, default, None, field)
    } else {
        errors
    }
}

/// Whether an error means that rules must not be evaluated on the object.
fn is_blocking(error: &FieldError) -> bool {
    use FieldErrorKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(
        error.kind,
        NotSupported | Required | TooLong | TooMany | TypeInvalid
    )
}
