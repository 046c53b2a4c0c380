//! Helpers of several tests.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "not every test uses all helpers; a test fails by panicking"
)]

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::{Value, json};

/// Returns a schema with these properties in `spec`.
pub(crate) fn spec(properties: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

/// Parses a schema that must be valid.
#[track_caller]
pub(crate) fn parse_valid(schema: &Value) -> StructuralSchema {
    StructuralSchema::parse(schema)
        .unwrap_or_else(|errors| panic!("rejected: {:#?}", to_strings(&errors)))
}

/// Parses a schema that must be invalid, and returns its errors.
#[track_caller]
pub(crate) fn parse_errors(schema: &Value) -> Vec<String> {
    to_strings(&StructuralSchema::parse(schema).expect_err("accepted"))
}

pub(crate) fn to_strings(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Asserts that these are the errors, in any order.
#[track_caller]
pub(crate) fn assert_errors(mut actual: Vec<String>, expected: &[&str]) {
    actual.sort();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(actual, expected);
}
