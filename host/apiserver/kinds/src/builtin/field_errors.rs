//! Constructors of field errors.

use rdd_apiserver_schema::{FieldError, FieldErrorKind};
use serde_json::Value;

fn error(
    kind: FieldErrorKind,
    field: impl Into<String>,
    bad_value: Option<Value>,
    detail: &str,
) -> FieldError {
    FieldError {
        kind,
        field: field.into(),
        bad_value,
        detail: detail.into(),
    }
}

pub(super) fn required(field: impl Into<String>, detail: &str) -> FieldError {
    error(FieldErrorKind::Required, field, None, detail)
}

pub(super) fn invalid(
    field: impl Into<String>,
    bad_value: impl Into<Value>,
    detail: &str,
) -> FieldError {
    error(
        FieldErrorKind::Invalid,
        field,
        Some(bad_value.into()),
        detail,
    )
}

pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> FieldError {
    error(FieldErrorKind::Forbidden, field, None, detail)
}

pub(super) fn duplicate(field: impl Into<String>, bad_value: impl Into<Value>) -> FieldError {
    error(FieldErrorKind::Duplicate, field, Some(bad_value.into()), "")
}

pub(super) fn too_long(field: impl Into<String>, bytes: usize) -> FieldError {
    error(
        FieldErrorKind::TooLong,
        field,
        None,
        &format!("may not be more than {bytes} bytes"),
    )
}

pub(super) fn too_many(field: impl Into<String>, count: usize, max: usize) -> FieldError {
    error(
        FieldErrorKind::TooMany,
        field,
        Some(count.into()),
        &format!("must have at most {max} items"),
    )
}

pub(super) fn unsupported(
    field: impl Into<String>,
    bad_value: impl Into<Value>,
    supported: &[&str],
) -> FieldError {
    let supported: Vec<String> = supported
        .iter()
        .map(|value| format!("\"{value}\""))
        .collect();
    let detail = format!("supported values: {}", supported.join(", "));
    error(
        FieldErrorKind::NotSupported,
        field,
        Some(bad_value.into()),
        &detail,
    )
}

/// Returns one error for each message about a value.
pub(super) fn invalid_for_each(
    field: &str,
    value: &str,
    messages: Vec<String>,
) -> impl Iterator<Item = FieldError> {
    messages
        .into_iter()
        .map(move |message| invalid(field, value, &message))
}

/// The detail of an error about a field that `immutable` protects.
pub(super) const IMMUTABLE_WHEN_SET: &str = "field is immutable when `immutable` is set";
/// The detail of an error about a field that can never change.
pub(super) const IMMUTABLE: &str = "field is immutable";
