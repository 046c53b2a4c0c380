//! Rules: invalid rules, and the errors of rules on objects.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{assert_errors, parse_errors, parse_valid, spec, to_strings};
use serde_json::{Value, json};

/// Returns a schema whose field `spec.a` has these rules.
fn ruled(mut schema: Value, rules: Value) -> Value {
    schema["x-kubernetes-validations"] = rules;
    spec(json!({"a": schema}))
}

/// Asserts the errors of an object whose field `spec.a` is `new`, on an update from `old` if there is one.
#[track_caller]
fn assert_rule_errors(schema: &Value, new: Value, old: Option<Value>, expected: &[&str]) {
    let wrap = |value: Value| json!({"spec": {"a": value}});
    assert_errors(
        to_strings(&parse_valid(schema).validate(&wrap(new), old.map(wrap).as_ref())),
        expected,
    );
}

#[test]
fn failures_have_the_message_of_the_rule() {
    let integer = || json!({"type": "integer"});
    let plain = ruled(integer(), json!([{"rule": " self > 3 "}]));
    assert_rule_errors(&plain, json!(4), None, &[]);
    assert_rule_errors(
        &plain,
        json!(3),
        None,
        &["spec.a: Invalid value: 3: failed rule: self > 3"],
    );
    let message = ruled(
        integer(),
        json!([{"rule": "self > 3", "message": " too small "}]),
    );
    assert_rule_errors(
        &message,
        json!(3),
        None,
        &["spec.a: Invalid value: 3: too small"],
    );
    let expression = ruled(
        integer(),
        json!([{"rule": "self > 3", "message": "m", "messageExpression": "self < 0 ? 'negative' : ''"}]),
    );
    assert_rule_errors(
        &expression,
        json!(-1),
        None,
        &["spec.a: Invalid value: -1: negative"],
    );
    // If the message expression fails or returns an empty text, the plain message is used.
    assert_rule_errors(
        &expression,
        json!(1),
        None,
        &["spec.a: Invalid value: 1: m"],
    );
    let broken = ruled(
        integer(),
        json!([{"rule": "self > 3", "messageExpression": "1 / 0 > 1 ? 'x' : 'y'"}]),
    );
    assert_rule_errors(
        &broken,
        json!(1),
        None,
        &["spec.a: Invalid value: 1: failed rule: self > 3"],
    );
    let both = ruled(
        integer(),
        json!([{"rule": "self > 3"}, {"rule": "self % 2 == 0"}]),
    );
    assert_rule_errors(
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
fn errors_have_the_reason_and_the_field_path_of_the_rule() {
    let object = || json!({"type": "object", "properties": {"x": {"type": "integer"}, "m": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "integer"}}}});
    let rule = |reason: &str| {
        ruled(
            object(),
            json!([{"rule": "self.x > 3", "reason": reason, "fieldPath": ".x", "message": "m"}]),
        )
    };
    let value = || json!({"x": 1});
    assert_rule_errors(
        &rule("FieldValueRequired"),
        value(),
        None,
        &["spec.a.x: Required value: m"],
    );
    assert_rule_errors(
        &rule("FieldValueForbidden"),
        value(),
        None,
        &["spec.a.x: Forbidden: m"],
    );
    assert_rule_errors(
        &rule("FieldValueInvalid"),
        value(),
        None,
        &["spec.a.x: Invalid value: m"],
    );
    assert_rule_errors(
        &rule("FieldValueDuplicate"),
        value(),
        None,
        &["spec.a.x: Duplicate value"],
    );
    let key = ruled(
        object(),
        json!([{"rule": "self.x > 3", "fieldPath": "['m'].k", "message": "m"}]),
    );
    assert_rule_errors(&key, value(), None, &["spec.a.m[k]: Invalid value: m"]);
    for path in [".y", "x", ".x.y", ".", "['x", ".m.k.l"] {
        let errors = parse_errors(&ruled(
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
fn transition_rules_compare_with_the_old_value() {
    let fixed = ruled(
        json!({"type": "string", "maxLength": 9}),
        json!([{"rule": "self == oldSelf", "message": "is fixed"}]),
    );
    assert_rule_errors(&fixed, json!("x"), None, &[]);
    assert_rule_errors(&fixed, json!("x"), Some(json!("x")), &[]);
    assert_rule_errors(
        &fixed,
        json!("y"),
        Some(json!("x")),
        &["spec.a: Invalid value: \"y\": is fixed"],
    );
    // There is no old value to compare with.
    assert_errors(
        to_strings(
            &parse_valid(&fixed).validate(&json!({"spec": {"a": "x"}}), Some(&json!({"spec": {}}))),
        ),
        &[],
    );
    let optional = ruled(
        json!({"type": "integer"}),
        json!([{"rule": "self >= oldSelf.orValue(3)", "optionalOldSelf": true}]),
    );
    assert_rule_errors(&optional, json!(3), None, &[]);
    let error = "spec.a: Invalid value: 2: failed rule: self >= oldSelf.orValue(3)";
    assert_rule_errors(&optional, json!(2), None, &[error]);
    assert_rule_errors(&optional, json!(2), Some(json!(1)), &[]);
}

#[test]
fn transition_rules_correlate_map_lists_by_key() {
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
    assert_rule_errors(
        &map,
        json!([{"k": "y", "v": 6}, {"k": "x", "v": 2}]),
        Some(before()),
        &[],
    );
    assert_rule_errors(
        &map,
        json!([{"k": "y", "v": 2}]),
        Some(before()),
        &["spec.a[0].v: Invalid value: 2: failed rule: self >= oldSelf"],
    );
    for kind in [Value::Null, json!("atomic")] {
        let errors = parse_errors(&list(kind));
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
        parse_errors(&atomic)
            .iter()
            .any(|error| error.contains("uncorrelatable"))
    );
}

#[test]
fn unchanged_values_may_keep_violating_rules() {
    let small = ruled(json!({"type": "integer"}), json!([{"rule": "self > 3"}]));
    assert_rule_errors(&small, json!(1), Some(json!(1)), &[]);
    assert_rule_errors(
        &small,
        json!(2),
        Some(json!(1)),
        &["spec.a: Invalid value: 2: failed rule: self > 3"],
    );
    // A rule that uses `oldSelf` is always enforced.
    let back = ruled(
        json!({"type": "integer"}),
        json!([{"rule": "self > oldSelf"}]),
    );
    assert_rule_errors(
        &back,
        json!(1),
        Some(json!(1)),
        &["spec.a: Invalid value: 1: failed rule: self > oldSelf"],
    );
}

#[test]
fn rules_are_not_evaluated_on_objects_of_the_wrong_type() {
    let schema = ruled(json!({"type": "integer"}), json!([{"rule": "self > 3"}]));
    assert_rule_errors(
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
fn names_of_fields_are_escaped() {
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
    assert_rule_errors(&schema, value, None, &[]);
    let plain = ruled(
        json!({"type": "object", "properties": {"namespace": {"type": "string"}}}),
        json!([{"rule": "self.namespace == 'n' && has(self.namespace)"}]),
    );
    assert_rule_errors(&plain, json!({"namespace": "n"}), None, &[]);
    let nameless = ruled(
        json!({"type": "object", "properties": {"1a": {"type": "integer"}}}),
        json!([{"rule": "self.1a == 1"}]),
    );
    assert!(!parse_errors(&nameless).is_empty());
}

#[test]
fn rules_of_the_root_can_use_the_name_and_type() {
    let schema = |rule: &str| json!({"type": "object", "properties": {"spec": {"type": "object"}}, "x-kubernetes-validations": [{"rule": rule, "message": "wrong name"}]});
    let object = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "only", "namespace": "n"}, "spec": {}});
    let rule_errors = |rule: &str| to_strings(&parse_valid(&schema(rule)).validate(&object, None));
    assert_errors(
        rule_errors(
            "self.metadata.name == 'only' && self.kind == 'Thing' && self.apiVersion.startsWith('example.com/')",
        ),
        &[],
    );
    assert_errors(rule_errors("!has(self.metadata.generateName)"), &[]);
    assert_errors(
        rule_errors("self.metadata.name == 'other'"),
        &["<nil>: Invalid value: wrong name"],
    );
    assert!(
        parse_errors(&schema("self.metadata.namespace == 'n'"))
            .iter()
            .any(|error| error.contains("undefined field 'namespace'"))
    );
}

#[test]
fn sets_and_map_lists_compare_without_order() {
    let same_as_before = || json!([{"rule": "self == oldSelf", "message": "is fixed"}]);
    let set = ruled(
        json!({"type": "array", "maxItems": 9, "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
        same_as_before(),
    );
    assert_rule_errors(&set, json!([2, 1]), Some(json!([1, 2])), &[]);
    assert_rule_errors(
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
    assert_rule_errors(&deep, entries(true, 2), Some(entries(false, 2)), &[]);
    assert_rule_errors(
        &deep,
        entries(true, 3),
        Some(entries(false, 2)),
        &["spec.a: Invalid value: is fixed"],
    );
    let list = ruled(
        json!({"type": "array", "maxItems": 9, "items": {"type": "integer"}}),
        same_as_before(),
    );
    assert_rule_errors(
        &list,
        json!([2, 1]),
        Some(json!([1, 2])),
        &["spec.a: Invalid value: is fixed"],
    );
    // Operations that would not behave as in Kubernetes are rejected.
    let added = ruled(
        json!({"type": "array", "maxItems": 9, "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
        json!([{"rule": "(self + [1]).size() < 5"}]),
    );
    assert!(
        parse_errors(&added)
            .iter()
            .any(|error| error.contains("is not supported"))
    );
}

#[test]
fn operations_that_would_depend_on_the_order_of_sets_are_rejected() {
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
        assert_rule_errors(
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
        let errors = parse_errors(&ruled(object.clone(), json!([{"rule": rule}])));
        assert!(
            errors
                .iter()
                .any(|error| error.contains("is not supported")),
            "{rule}: {errors:?}"
        );
    }
}

#[test]
fn rules_with_excessive_estimated_cost_are_rejected() {
    let nested = json!([{"rule": "self.all(x, self.all(y, x == y))"}]);
    let strings = |max_items: Option<i64>| {
        let mut schema = json!({"type": "array", "items": {"type": "string", "maxLength": 5}});
        if let Some(max_items) = max_items {
            schema["maxItems"] = max_items.into();
        }
        ruled(schema, nested.clone())
    };
    parse_valid(&strings(Some(100)));
    let errors = parse_errors(&strings(None));
    assert!(
        errors.iter().any(|error| error
            .contains("estimated rule cost exceeds budget by factor of more than 100x")),
        "{errors:?}"
    );
    // A rule that is cheap by itself, but is evaluated for each of many items.
    let entries = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('^[a-z]+$')"}]}});
    assert!(
        parse_errors(&spec(json!({"a": entries})))
            .iter()
            .any(|error| error.contains("cost"))
    );
}

#[test]
fn evaluation_stops_when_its_budget_is_exceeded() {
    // The estimate, which does not count every step, is within the limit; the evaluation is not.
    let schema = parse_valid(
        &json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 100, "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": "self.l.all(x, self.l.all(y, self.l.all(z, z <= 100)))"}]}),
    );
    let object = json!({"l": (0..100).collect::<Vec<i64>>()});
    let errors = to_strings(&schema.validate(&object, None));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("actual cost limit exceeded"),
        "{errors:?}"
    );
}

#[test]
fn errors_of_rules_have_a_line_and_a_column() {
    let error = |rule: &str| {
        parse_errors(&ruled(
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
fn rules_are_not_evaluated_on_nulls() {
    let schema = ruled(
        json!({"type": "integer", "nullable": true}),
        json!([{"rule": "self > 3"}, {"rule": "self > oldSelf"}]),
    );
    assert_rule_errors(&schema, Value::Null, None, &[]);
    assert_rule_errors(&schema, Value::Null, Some(json!(5)), &[]);
    assert_rule_errors(&schema, json!(4), Some(Value::Null), &[]);
}
