//! Updates: what was wrong before and did not change is tolerated.

mod common;

use common::{same, sound, spec, texts};
use serde_json::{Value, json};

#[track_caller]
fn judge(schema: &Value, new: Value, old: Value, expected: &[&str]) {
    let wrap = |value: Value| json!({"spec": {"a": value}});
    same(
        texts(&sound(schema).validate(&wrap(new), Some(&wrap(old)))),
        expected,
    );
}

fn short() -> Value {
    json!({"type": "string", "maxLength": 1})
}

const TOO_LONG: &str = "Too long: may not be more than 1 bytes";

#[test]
fn unchanged_fields() {
    let schema = spec(json!({"a": {"type": "object", "properties": {"x": short(), "y": short()}}}));
    judge(
        &schema,
        json!({"x": "long", "y": "b"}),
        json!({"x": "long", "y": "a"}),
        &[],
    );
    judge(
        &schema,
        json!({"x": "longer"}),
        json!({"x": "long"}),
        &[&format!("spec.a.x: {TOO_LONG}")],
    );
    judge(
        &schema,
        json!({"x": "long"}),
        json!({}),
        &[&format!("spec.a.x: {TOO_LONG}")],
    );
    // What a field lacks is the matter of the object that lacks it.
    let required = spec(
        json!({"a": {"type": "object", "required": ["x"], "properties": {"x": short(), "y": short()}}}),
    );
    judge(&required, json!({"y": "a"}), json!({"y": "a"}), &[]);
    judge(
        &required,
        json!({"y": "b"}),
        json!({"y": "a"}),
        &["spec.a.x: Required value"],
    );
}

#[test]
fn unchanged_entries_of_lists() {
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
    // By position where no type is given, by key in map lists, not at all in atomic ones.
    judge(&list(None), json!([bad(), good("2")]), json!([bad()]), &[]);
    judge(
        &list(None),
        json!([good("2"), bad()]),
        json!([bad()]),
        &[&format!("spec.a[1].x: {TOO_LONG}")],
    );
    judge(
        &list(Some("map")),
        json!([good("2"), bad()]),
        json!([bad()]),
        &[],
    );
    judge(
        &list(Some("atomic")),
        json!([bad(), good("2")]),
        json!([bad()]),
        &[&format!("spec.a[0].x: {TOO_LONG}")],
    );
    // A list of that many entries is another list.
    let counted = spec(json!({"a": {"type": "array", "maxItems": 1, "items": short()}}));
    judge(&counted, json!(["a", "b"]), json!(["a", "b"]), &[]);
    judge(
        &counted,
        json!(["a", "c"]),
        json!(["a", "b"]),
        &["spec.a: Too many: 2: must have at most 1 items"],
    );
}

#[test]
fn unchanged_alternatives() {
    let schema = spec(
        json!({"a": {"type": "object", "properties": {"x": short()}, "anyOf": [{"required": ["x"]}]},
        "b": {"type": "string"}}),
    );
    let object = |b: &str| json!({"spec": {"a": {}, "b": b}});
    assert!(
        sound(&schema)
            .validate(&object("2"), Some(&object("1")))
            .is_empty()
    );
    assert!(!sound(&schema).validate(&object("2"), None).is_empty());
}

#[test]
fn duplicates_that_were_there() {
    let set = spec(
        json!({"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}),
    );
    judge(&set, json!(["a", "a", "b"]), json!(["a", "a"]), &[]);
    judge(
        &set,
        json!(["a", "a"]),
        json!(["a"]),
        &["spec.a[1]: Duplicate value: \"a\""],
    );
}
