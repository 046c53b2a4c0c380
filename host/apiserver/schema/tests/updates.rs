//! Ratcheting: on updates, errors about values that did not change are dropped.

mod common;

use common::{assert_errors, parse_valid, spec, to_strings};
use serde_json::{Value, json};

/// Asserts the errors of an update of `spec.a` from `old` to `new`.
#[track_caller]
fn assert_update_errors(schema: &Value, new: Value, old: Value, expected: &[&str]) {
    let wrap = |value: Value| json!({"spec": {"a": value}});
    assert_errors(
        to_strings(&parse_valid(schema).validate(&wrap(new), Some(&wrap(old)))),
        expected,
    );
}

fn short() -> Value {
    json!({"type": "string", "maxLength": 1})
}

const TOO_LONG: &str = "Too long: may not be more than 1 bytes";

#[test]
fn unchanged_fields_may_stay_invalid() {
    let schema = spec(json!({"a": {"type": "object", "properties": {"x": short(), "y": short()}}}));
    assert_update_errors(
        &schema,
        json!({"x": "long", "y": "b"}),
        json!({"x": "long", "y": "a"}),
        &[],
    );
    assert_update_errors(
        &schema,
        json!({"x": "longer"}),
        json!({"x": "long"}),
        &[&format!("spec.a.x: {TOO_LONG}")],
    );
    assert_update_errors(
        &schema,
        json!({"x": "long"}),
        json!({}),
        &[&format!("spec.a.x: {TOO_LONG}")],
    );
    // A missing field is an error of the object, which counts as changed if any of its fields changes.
    let required = spec(
        json!({"a": {"type": "object", "required": ["x"], "properties": {"x": short(), "y": short()}}}),
    );
    assert_update_errors(&required, json!({"y": "a"}), json!({"y": "a"}), &[]);
    assert_update_errors(
        &required,
        json!({"y": "b"}),
        json!({"y": "a"}),
        &["spec.a.x: Required value"],
    );
}

#[test]
fn unchanged_items_correlate_by_list_type() {
    let list = |kind: Option<&str>| {
        let mut list = json!({"type": "array", "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "x": short()}}});
        if let Some(kind) = kind {
            list["x-kubernetes-list-type"] = kind.into();
        }
        if kind == Some("map") {
            list["x-kubernetes-list-map-keys"] = json!(["k"]);
        }
        spec(json!({"a": list}))
    };
    let bad = || json!({"k": "1", "x": "long"});
    let good = |k: &str| json!({"k": k, "x": "a"});
    // Items correlate by index without a list type, by key in map lists, and not at all in atomic lists.
    assert_update_errors(&list(None), json!([bad(), good("2")]), json!([bad()]), &[]);
    assert_update_errors(
        &list(None),
        json!([good("2"), bad()]),
        json!([bad()]),
        &[&format!("spec.a[1].x: {TOO_LONG}")],
    );
    assert_update_errors(
        &list(Some("map")),
        json!([good("2"), bad()]),
        json!([bad()]),
        &[],
    );
    assert_update_errors(
        &list(Some("atomic")),
        json!([bad(), good("2")]),
        json!([bad()]),
        &[&format!("spec.a[0].x: {TOO_LONG}")],
    );
    // `maxItems` is an error of the list, which counts as changed if any item changes.
    let counted = spec(json!({"a": {"type": "array", "maxItems": 1, "items": short()}}));
    assert_update_errors(&counted, json!(["a", "b"]), json!(["a", "b"]), &[]);
    assert_update_errors(
        &counted,
        json!(["a", "c"]),
        json!(["a", "b"]),
        &["spec.a: Too many: 2: must have at most 1 items"],
    );
}

#[test]
fn unchanged_values_may_violate_any_of() {
    let schema = spec(
        json!({"a": {"type": "object", "properties": {"x": short()}, "anyOf": [{"required": ["x"]}]},
        "b": {"type": "string"}}),
    );
    let object = |b: &str| json!({"spec": {"a": {}, "b": b}});
    assert!(
        parse_valid(&schema)
            .validate(&object("2"), Some(&object("1")))
            .is_empty()
    );
    assert!(!parse_valid(&schema).validate(&object("2"), None).is_empty());
}

#[test]
fn lists_with_duplicates_may_keep_having_duplicates() {
    let set = spec(
        json!({"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}),
    );
    assert_update_errors(&set, json!(["a", "a", "b"]), json!(["a", "a"]), &[]);
    assert_update_errors(
        &set,
        json!(["a", "a"]),
        json!(["a"]),
        &["spec.a[1]: Duplicate value: \"a\""],
    );
}
