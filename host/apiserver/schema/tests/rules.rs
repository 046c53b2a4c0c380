//! Rules: what they are refused for, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{refused, same, sound, spec, texts};
use serde_json::{Value, json};

fn ruled(mut schema: Value, rules: Value) -> Value {
    schema["x-kubernetes-validations"] = rules;
    spec(json!({"a": schema}))
}

#[track_caller]
fn judge(schema: &Value, new: Value, old: Option<Value>, expected: &[&str]) {
    let wrap = |value: Value| json!({"spec": {"a": value}});
    same(
        texts(&sound(schema).validate(&wrap(new), old.map(wrap).as_ref())),
        expected,
    );
}

#[test]
fn failures_say_what_the_rule_says() {
    let integer = || json!({"type": "integer"});
    let plain = ruled(integer(), json!([{"rule": " self > 3 "}]));
    judge(&plain, json!(4), None, &[]);
    judge(
        &plain,
        json!(3),
        None,
        &["spec.a: Invalid value: 3: failed rule: self > 3"],
    );
    let message = ruled(
        integer(),
        json!([{"rule": "self > 3", "message": " too small "}]),
    );
    judge(
        &message,
        json!(3),
        None,
        &["spec.a: Invalid value: 3: too small"],
    );
    let expression = ruled(
        integer(),
        json!([{"rule": "self > 3", "message": "m", "messageExpression": "self < 0 ? 'negative' : ''"}]),
    );
    judge(
        &expression,
        json!(-1),
        None,
        &["spec.a: Invalid value: -1: negative"],
    );
    // A message that is empty or goes wrong gives way to the plain one.
    judge(
        &expression,
        json!(1),
        None,
        &["spec.a: Invalid value: 1: m"],
    );
    let broken = ruled(
        integer(),
        json!([{"rule": "self > 3", "messageExpression": "1 / 0 > 1 ? 'x' : 'y'"}]),
    );
    judge(
        &broken,
        json!(1),
        None,
        &["spec.a: Invalid value: 1: failed rule: self > 3"],
    );
    let both = ruled(
        integer(),
        json!([{"rule": "self > 3"}, {"rule": "self % 2 == 0"}]),
    );
    judge(
        &both,
        json!(1),
        None,
        &[
            "spec.a: Invalid value: 1: failed rule: self > 3",
            "spec.a: Invalid value: 1: failed rule: self % 2 == 0",
        ],
    );
}

#[test]
fn reasons_and_paths() {
    let object = || json!({"type": "object", "properties": {"x": {"type": "integer"}, "m": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "integer"}}}});
    let rule = |reason: &str| {
        ruled(
            object(),
            json!([{"rule": "self.x > 3", "reason": reason, "fieldPath": ".x", "message": "m"}]),
        )
    };
    let value = || json!({"x": 1});
    judge(
        &rule("FieldValueRequired"),
        value(),
        None,
        &["spec.a.x: Required value: m"],
    );
    judge(
        &rule("FieldValueForbidden"),
        value(),
        None,
        &["spec.a.x: Forbidden: m"],
    );
    judge(
        &rule("FieldValueInvalid"),
        value(),
        None,
        &["spec.a.x: Invalid value: m"],
    );
    judge(
        &rule("FieldValueDuplicate"),
        value(),
        None,
        &["spec.a.x: Duplicate value"],
    );
    let key = ruled(
        object(),
        json!([{"rule": "self.x > 3", "fieldPath": "['m'].k", "message": "m"}]),
    );
    judge(&key, value(), None, &["spec.a.m[k]: Invalid value: m"]);
    for path in [".y", "x", ".x.y", ".", "['x", ".m.k.l"] {
        let errors = refused(&ruled(
            object(),
            json!([{"rule": "self.x > 3", "fieldPath": path}]),
        ));
        assert!(
            errors
                .iter()
                .all(|error| error.ends_with("must be a valid path")),
            "{path}: {errors:?}"
        );
    }
}

#[test]
fn transitions() {
    let fixed = ruled(
        json!({"type": "string", "maxLength": 9}),
        json!([{"rule": "self == oldSelf", "message": "is fixed"}]),
    );
    judge(&fixed, json!("x"), None, &[]);
    judge(&fixed, json!("x"), Some(json!("x")), &[]);
    judge(
        &fixed,
        json!("y"),
        Some(json!("x")),
        &["spec.a: Invalid value: \"y\": is fixed"],
    );
    // Nothing to compare with: the field was not there.
    same(
        texts(&sound(&fixed).validate(&json!({"spec": {"a": "x"}}), Some(&json!({"spec": {}})))),
        &[],
    );
    let optional = ruled(
        json!({"type": "integer"}),
        json!([{"rule": "self >= oldSelf.orValue(3)", "optionalOldSelf": true}]),
    );
    judge(&optional, json!(3), None, &[]);
    let error = "spec.a: Invalid value: 2: failed rule: self >= oldSelf.orValue(3)";
    judge(&optional, json!(2), None, &[error]);
    judge(&optional, json!(2), Some(json!(1)), &[]);
}

#[test]
fn transitions_follow_the_keys_of_map_lists() {
    let item = json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"},
        "v": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}});
    let list = |kind: Value| {
        spec(
            json!({"a": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": kind,
        "x-kubernetes-list-map-keys": if kind == "map" { json!(["k"]) } else { Value::Null }, "items": item.clone()}}),
        )
    };
    let before = || json!([{"k": "x", "v": 1}, {"k": "y", "v": 5}]);
    let map = list(json!("map"));
    judge(
        &map,
        json!([{"k": "y", "v": 6}, {"k": "x", "v": 2}]),
        Some(before()),
        &[],
    );
    judge(
        &map,
        json!([{"k": "y", "v": 2}]),
        Some(before()),
        &["spec.a[0].v: Invalid value: 2: failed rule: self >= oldSelf"],
    );
    for kind in [Value::Null, json!("atomic")] {
        let errors = refused(&list(kind));
        assert!(
            errors.iter().any(|error| error.ends_with(
                "uncorrelatable portion of the schema within properties[spec].properties[a]"
            )),
            "{errors:?}"
        );
    }
    let atomic = spec(
        json!({"a": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"v": {"type": "integer",
        "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}}}),
    );
    assert!(
        refused(&atomic)
            .iter()
            .any(|error| error.contains("uncorrelatable"))
    );
}

#[test]
fn unchanged_values_are_not_judged_again() {
    let small = ruled(json!({"type": "integer"}), json!([{"rule": "self > 3"}]));
    judge(&small, json!(1), Some(json!(1)), &[]);
    judge(
        &small,
        json!(2),
        Some(json!(1)),
        &["spec.a: Invalid value: 2: failed rule: self > 3"],
    );
    // A rule that looks back is about change, and always judged.
    let back = ruled(
        json!({"type": "integer"}),
        json!([{"rule": "self > oldSelf"}]),
    );
    judge(
        &back,
        json!(1),
        Some(json!(1)),
        &["spec.a: Invalid value: 1: failed rule: self > oldSelf"],
    );
}

#[test]
fn broken_objects_are_not_judged() {
    let schema = ruled(json!({"type": "integer"}), json!([{"rule": "self > 3"}]));
    judge(
        &schema,
        json!("x"),
        None,
        &[
            "spec.a: Invalid value: \"string\": spec.a in body must be of type integer: \"string\"",
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ],
    );
}

#[test]
fn names_are_escaped() {
    let names = [
        "a-b",
        "a.b",
        "a/b",
        "a__b",
        "a_b",
        "namespace",
        "in",
        "self",
    ];
    let properties: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "integer"})))
        .collect();
    let sum = "self.a__dash__b + self.a__dot__b + self.a__slash__b + self.a__underscores__b + self.a_b + self.__namespace__ + self.__in__ + self.self == 8";
    let schema = ruled(
        json!({"type": "object", "properties": properties}),
        json!([{"rule": sum}]),
    );
    let value: Value = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(1)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    judge(&schema, value, None, &[]);
    let plain = ruled(
        json!({"type": "object", "properties": {"namespace": {"type": "string"}}}),
        json!([{"rule": "self.namespace == 'n' && has(self.namespace)"}]),
    );
    judge(&plain, json!({"namespace": "n"}), None, &[]);
    let nameless = ruled(
        json!({"type": "object", "properties": {"1a": {"type": "integer"}}}),
        json!([{"rule": "self.1a == 1"}]),
    );
    assert!(!refused(&nameless).is_empty());
}

#[test]
fn the_root_knows_its_name() {
    let schema = |rule: &str| json!({"type": "object", "properties": {"spec": {"type": "object"}}, "x-kubernetes-validations": [{"rule": rule, "message": "wrong name"}]});
    let object = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "only", "namespace": "n"}, "spec": {}});
    let judge = |rule: &str| texts(&sound(&schema(rule)).validate(&object, None));
    same(
        judge(
            "self.metadata.name == 'only' && self.kind == 'Thing' && self.apiVersion.startsWith('example.com/')",
        ),
        &[],
    );
    same(judge("!has(self.metadata.generateName)"), &[]);
    same(
        judge("self.metadata.name == 'other'"),
        &["<nil>: Invalid value: wrong name"],
    );
    assert!(
        refused(&schema("self.metadata.namespace == 'n'"))
            .iter()
            .any(|error| error.contains("undefined field 'namespace'"))
    );
}

#[test]
fn lists_without_order_compare_without_order() {
    let same_as_before = || json!([{"rule": "self == oldSelf", "message": "is fixed"}]);
    let set = ruled(
        json!({"type": "array", "maxItems": 9, "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
        same_as_before(),
    );
    judge(&set, json!([2, 1]), Some(json!([1, 2])), &[]);
    judge(
        &set,
        json!([2, 3]),
        Some(json!([1, 2])),
        &["spec.a: Invalid value: is fixed"],
    );
    let deep = ruled(
        json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 9, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}}}}),
        same_as_before(),
    );
    let entries = |reverse: bool, v: i64| {
        let mut entries = vec![json!({"k": "x", "v": 1}), json!({"k": "y", "v": v})];
        if reverse {
            entries.reverse();
        }
        json!({"l": entries})
    };
    judge(&deep, entries(true, 2), Some(entries(false, 2)), &[]);
    judge(
        &deep,
        entries(true, 3),
        Some(entries(false, 2)),
        &["spec.a: Invalid value: is fixed"],
    );
    let list = ruled(
        json!({"type": "array", "maxItems": 9, "items": {"type": "integer"}}),
        same_as_before(),
    );
    judge(
        &list,
        json!([2, 1]),
        Some(json!([1, 2])),
        &["spec.a: Invalid value: is fixed"],
    );
    // What is not carried out as Kubernetes does is refused when the rule is written.
    let added = ruled(
        json!({"type": "array", "maxItems": 9, "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
        json!([{"rule": "(self + [1]).size() < 5"}]),
    );
    assert!(
        refused(&added)
            .iter()
            .any(|error| error.contains("is not supported"))
    );
}

#[test]
fn order_is_not_smuggled_in() {
    let set = || json!({"type": "array", "maxItems": 9, "x-kubernetes-list-type": "set", "items": {"type": "integer"}});
    let object = json!({"type": "object", "properties": {"s": set(), "l": {"type": "array", "maxItems": 9, "items": {"type": "object", "properties": {"s": set(), "n": {"type": "integer"}}}}}});
    let value = || json!({"s": [2, 1], "l": [{"s": [1, 2], "n": 1}, {"s": [3], "n": 2}]});
    for rule in [
        "self.s == [1, 2]",
        "[1, 2] == self.s && !(self.s != [1, 2])",
        "self.l[0].s == self.s && self.l[0] == self.l[0]",
        "self.l.filter(i, i.n > 1).size() == 1 && self.l.filter(i, i.n > 1)[0].s == [3]",
        "self.l.map(i, i).exists(i, i.n == 2) && self.l.all(i, i == i)",
        "self.s.filter(x, x > 0) == [2, 1] && self.s.map(x, x + 1) == [3, 2] && self.s[0] == 2",
        "1 in self.s && self.s.sum() == 3 && sets.equivalent(self.s, [1, 2]) && self.s.size() == 2",
        "(self.l.size() > 1 ? self.s : self.s).size() == 2",
    ] {
        judge(
            &ruled(object.clone(), json!([{"rule": rule}])),
            value(),
            None,
            &[],
        );
    }
    for rule in [
        "dyn(self.s) == dyn(self.s)",
        "[self.s] == [self.s]",
        "{'a': self.s} == {'a': self.s}",
        "[self.s][0] == [1, 2]",
        "{'a': self.s}.a == [1, 2]",
        "([self.s][0] + [3]).size() == 3",
        "(true ? self.s : self.s) == [1, 2]",
        "optional.of(self.s).value() == [1, 2]",
        "self.l.map(i, i.s) == [[1, 2]]",
        "self.l.map(i, i.s).all(s, s == [1, 2])",
        "self.l.filter(i, true) == self.l.filter(i, true)",
        "self.s + [3] == [1, 2, 3]",
        "self.l[0] in self.l",
        "[1, 2] in self.l.map(i, i.s)",
        "self.l.indexOf(self.l[0]) == 0",
    ] {
        let errors = refused(&ruled(object.clone(), json!([{"rule": rule}])));
        assert!(
            errors
                .iter()
                .any(|error| error.contains("is not supported")),
            "{rule}: {errors:?}"
        );
    }
}

#[test]
fn costs_are_bounded() {
    let nested = json!([{"rule": "self.all(x, self.all(y, x == y))"}]);
    let strings = |max_items: Option<i64>| {
        let mut schema = json!({"type": "array", "items": {"type": "string", "maxLength": 5}});
        if let Some(max_items) = max_items {
            schema["maxItems"] = max_items.into();
        }
        ruled(schema, nested.clone())
    };
    sound(&strings(Some(100)));
    let errors = refused(&strings(None));
    assert!(
        errors.iter().any(|error| error
            .contains("estimated rule cost exceeds budget by factor of more than 100x")),
        "{errors:?}"
    );
    // A rule that is cheap by itself but judged for each of many entries.
    let entries = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('^[a-z]+$')"}]}});
    assert!(
        refused(&spec(json!({"a": entries})))
            .iter()
            .any(|error| error.contains("cost"))
    );
}

#[test]
fn work_is_bounded() {
    // Cheap enough by the estimate, which does not count every step; not so in fact.
    let schema = sound(
        &json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 100, "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": "self.l.all(x, self.l.all(y, self.l.all(z, z <= 100)))"}]}),
    );
    let object = json!({"l": (0..100).collect::<Vec<i64>>()});
    let errors = texts(&schema.validate(&object, None));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("actual cost limit exceeded"),
        "{errors:?}"
    );
}

#[test]
fn mistakes_are_located() {
    let error = |rule: &str| {
        refused(&ruled(
            json!({"type": "integer"}),
            json!([{"rule": rule, "message": "m"}]),
        ))
        .join("")
    };
    assert!(error("1 > 0 && self == 'x'").ends_with(
        "ERROR: <input>:1:15: found no matching overload for '_==_' applied to '(int, string)'\n | 1 > 0 && self == 'x'\n | ..............^"
    ), "{}", error("1 > 0 && self == 'x'"));
    assert!(
        error("[1].all(x,\n  y > 1)").contains("<input>:2:3: undeclared reference to 'y'"),
        "{}",
        error("[1].all(x,\n  y > 1)")
    );
}

#[test]
fn nulls_are_not_judged() {
    let schema = ruled(
        json!({"type": "integer", "nullable": true}),
        json!([{"rule": "self > 3"}, {"rule": "self > oldSelf"}]),
    );
    judge(&schema, Value::Null, None, &[]);
    judge(&schema, Value::Null, Some(json!(5)), &[]);
    judge(&schema, json!(4), Some(Value::Null), &[]);
}
