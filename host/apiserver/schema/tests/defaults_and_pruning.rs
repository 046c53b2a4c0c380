//! Defaulting and pruning, with examples and with property tests.

mod common;

use common::{parse_valid, spec};
use proptest::prelude::*;
use rdd_apiserver_schema::StructuralSchema;
use serde_json::{Map, Value, json};

#[track_caller]
fn assert_defaulted(schema: &Value, mut object: Value, expected: &Value) {
    parse_valid(schema).apply_defaults(&mut object);
    assert_eq!(&object, expected);
}

#[test]
fn missing_fields_get_their_defaults() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "default": {}, "properties": {
        "a": {"type": "string", "default": "x"}, "o": {"type": "object", "properties": {"b": {"type": "integer", "default": 1}}}}}}});
    assert_defaulted(&schema, json!({}), &json!({"spec": {"a": "x"}}));
    assert_defaulted(
        &schema,
        json!({"spec": {"a": "y", "o": {}}}),
        &json!({"spec": {"a": "y", "o": {"b": 1}}}),
    );
}

#[test]
fn nulls_are_kept_replaced_or_dropped() {
    let schema = spec(json!({
        "kept": {"type": "string", "nullable": true, "default": "x"}, "replaced": {"type": "string", "default": "x"},
        "dropped": {"type": "string"}, "list": {"type": "array", "items": {"type": "string", "default": "x"}},
        "map": {"type": "object", "additionalProperties": {"type": "string", "default": "x"}},
        "plain": {"type": "object", "additionalProperties": {"type": "string"}}}));
    let object = json!({"spec": {"kept": null, "replaced": null, "dropped": null, "list": [null, "a"],
        "map": {"k": null}, "plain": {"k": null}}, "unknown": null});
    let expected = json!({"spec": {"kept": null, "replaced": "x", "list": ["x", "a"], "map": {"k": "x"}, "plain": {}}, "unknown": null});
    assert_defaulted(&schema, object, &expected);
}

#[track_caller]
fn assert_pruned(schema: &Value, mut object: Value, expected: &Value, removed: &[&str]) {
    assert_eq!(parse_valid(schema).prune(&mut object), removed);
    assert_eq!(&object, expected);
}

#[test]
fn unknown_fields_are_pruned() {
    let schema = spec(
        json!({"a": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "open": {"type": "object", "additionalProperties": true}}),
    );
    let object = json!({"apiVersion": "v", "kind": "k", "metadata": {"any": 1}, "z": 1,
        "spec": {"a": [{"x": 1, "y": 1}, 3], "m": {"k": {"x": 1, "y": {}}}, "open": {"k": 1, "l": {"gone": 1}}, "b": null}});
    let expected = json!({"apiVersion": "v", "kind": "k", "metadata": {"any": 1},
        "spec": {"a": [{"x": 1}, 3], "m": {"k": {"x": 1}}, "open": {"k": 1, "l": {}}}});
    assert_pruned(
        &schema,
        object,
        &expected,
        &[
            "spec.a[0].y",
            "spec.b",
            "spec.m.k.y",
            "spec.open.l.gone",
            "z",
        ],
    );
}

#[test]
fn preserve_unknown_fields_keeps_unknown_fields() {
    let schema = spec(
        json!({"a": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "closed": {"type": "object", "properties": {"x": {"type": "string"}}}}}}),
    );
    let object = json!({"spec": {"a": {"any": {"b": [1]}, "closed": {"x": "1", "y": 1}}}});
    let expected = json!({"spec": {"a": {"any": {"b": [1]}, "closed": {"x": "1"}}}});
    assert_pruned(&schema, object, &expected, &["spec.a.closed.y"]);
}

#[test]
fn embedded_resources_keep_known_metadata() {
    let schema = spec(
        json!({"a": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}}}),
    );
    let object = json!({"spec": {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n", "odd": 1,
        "ownerReferences": [{"name": "o", "odd": 1}]}, "spec": {"x": 1}, "status": {}}}});
    let expected = json!({"spec": {"a": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n", "ownerReferences": [{"name": "o"}]}, "spec": {}}}});
    let removed = [
        "spec.a.metadata.odd",
        "spec.a.metadata.ownerReferences[0].odd",
        "spec.a.spec.x",
        "spec.a.status",
    ];
    assert_pruned(&schema, object, &expected, &removed);
}

/// A name from a small set, so that schemas and objects often have names in common.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "kind", "metadata"]).prop_map(str::to_owned)
}

/// Valid schemas with defaults, lists, maps, and open objects.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "default": "x"})),
        Just(json!({"type": "string", "nullable": true})),
        Just(json!({"type": "integer"})),
        Just(json!({"x-kubernetes-int-or-string": true, "default": 1})),
        Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
        Just(json!({"type": "object", "additionalProperties": true})),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map(name(), inner.clone(), 0..4)
                .prop_map(|properties| json!({"type": "object", "properties": properties})),
            inner
                .clone()
                .prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            inner.prop_map(|items| json!({"type": "array", "items": items})),
        ]
    });
    tree.prop_map(|schema| json!({"type": "object", "properties": {"a": schema}}))
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        Just(json!("x"))
    ];
    let tree = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::btree_map(name(), inner.clone(), 0..5)
                .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    tree.prop_map(|value| json!({"a": value}))
}

/// Applies `change` once and twice, and returns both results.
fn twice(object: &Value, change: impl Fn(&mut Value)) -> (Value, Value) {
    let mut once = object.clone();
    change(&mut once);
    let mut again = once.clone();
    change(&mut again);
    (once, again)
}

proptest! {
    #[test]
    fn defaulting_twice_is_defaulting_once(schema in schemas(), object in values()) {
        let schema = StructuralSchema::parse(&schema).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        let (once, again) = twice(&object, |object| schema.apply_defaults(object));
        prop_assert_eq!(once, again);
    }

    #[test]
    fn a_pruned_object_has_no_unknown_fields(schema in schemas(), object in values()) {
        let schema = StructuralSchema::parse(&schema).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        let mut pruned = object.clone();
        let removed = schema.prune(&mut pruned);
        prop_assert_eq!(removed.is_empty(), pruned == object);
        let mut again = pruned.clone();
        prop_assert_eq!(schema.prune(&mut again), Vec::<String>::new());
        prop_assert_eq!(again, pruned);
    }

    #[test]
    fn defaults_add_no_unknown_fields(schema in schemas(), object in values()) {
        let schema = StructuralSchema::parse(&schema).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        let mut object = object;
        schema.prune(&mut object);
        schema.apply_defaults(&mut object);
        prop_assert_eq!(schema.prune(&mut object), Vec::<String>::new());
    }

    #[test]
    fn an_unchanged_object_is_valid(schema in schemas(), object in values()) {
        let schema = StructuralSchema::parse(&schema).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
        prop_assert_eq!(schema.validate(&object, Some(&object)), vec![]);
    }
}
