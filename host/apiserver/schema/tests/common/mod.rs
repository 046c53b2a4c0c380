//! What several tests need.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "not every test needs everything; a test fails by panicking"
)]

use rdd_apiserver_schema::{FieldError, StructuralSchema};
use serde_json::{Value, json};

/// A schema with these properties in `spec`.
pub(crate) fn spec(properties: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

/// A schema that must be sound.
#[track_caller]
pub(crate) fn sound(schema: &Value) -> StructuralSchema {
    StructuralSchema::parse(schema)
        .unwrap_or_else(|errors| panic!("refused: {:#?}", texts(&errors)))
}

/// The errors of a schema that must be refused.
#[track_caller]
pub(crate) fn refused(schema: &Value) -> Vec<String> {
    texts(&StructuralSchema::parse(schema).expect_err("accepted"))
}

pub(crate) fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Compares without regard to order.
#[track_caller]
pub(crate) fn same(mut found: Vec<String>, expected: &[&str]) {
    found.sort();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(found, expected);
}
