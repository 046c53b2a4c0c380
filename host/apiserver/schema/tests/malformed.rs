//! Robustness: no schema, rule, or object causes a panic or a stack overflow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::spec;
use proptest::prelude::*;
use rdd_apiserver_schema::StructuralSchema;
use serde_json::{Map, Value, json};

const KEYWORDS: [&str; 30] = [
    "type",
    "properties",
    "items",
    "additionalProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "default",
    "nullable",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    "rule",
    "spec",
];

const TEXTS: [&str; 16] = [
    "object",
    "array",
    "string",
    "integer",
    "map",
    "set",
    "atomic",
    "date-time",
    "byte",
    "(",
    "[a-z]+$",
    "self",
    "self.x > 1",
    "self.all(x, x == oldSelf)",
    "\u{0}",
    "",
];

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(prop::sample::select(&KEYWORDS[..]), inner.clone(), 0..6)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_schema_is_handled_without_a_panic(schema in anything(), object in anything()) {
        let mut schema = json!({"type": "object", "properties": {"spec": schema}});
        StructuralSchema::prune_keywords(&mut schema);
        if let Ok(schema) = StructuralSchema::parse(&schema) {
            let mut object = json!({"spec": object});
            // Whether the metadata can be decoded does not matter here.
            schema.check_metadata(&object).ok();
            schema.prune(&mut object);
            schema.apply_defaults(&mut object);
            schema.validate(&object, Some(&json!({"spec": {}})));
        }
    }

    #[test]
    fn any_rule_is_handled_without_a_panic(rule in "[ -~]{0,30}|(self|oldSelf|[(){}\\[\\].,?:!<>=&|+*/%-]|'|\"|1|x|all|has| ){0,20}") {
        let schema = spec(json!({"a": {"type": "string", "maxLength": 5, "x-kubernetes-validations": [{"rule": rule, "message": "m"}]}}));
        if let Ok(schema) = StructuralSchema::parse(&schema) {
            schema.validate(&json!({"spec": {"a": "x"}}), Some(&json!({"spec": {"a": "y"}})));
        }
    }
}

/// Wraps a schema `depth` times.
fn nested(depth: usize, inner: Value, wrap: fn(Value) -> Value) -> Value {
    (0..depth).fold(inner, |schema, _| wrap(schema))
}

#[test]
fn schemas_deeper_than_the_limit_are_rejected() {
    let wraps: [fn(Value) -> Value; 3] = [
        |schema| json!({"type": "object", "properties": {"x": schema}}),
        |schema| json!({"type": "array", "items": schema}),
        |schema| json!({"not": schema}),
    ];
    for wrap in wraps {
        for depth in [90, 110, 400] {
            let schema = spec(json!({"a": nested(depth, json!({"type": "string"}), wrap)}));
            let result = StructuralSchema::parse(&schema);
            if depth > 100 {
                let errors = result.unwrap_err();
                assert!(errors.iter().any(|error| error.detail == "must not be nested more than 100 levels deep"));
            }
        }
    }
}

#[test]
fn deep_objects_are_handled() {
    let schema = nested(
        100,
        json!({"type": "string", "default": "x"}),
        |schema| json!({"type": "object", "properties": {"x": schema}}),
    );
    let schema = StructuralSchema::parse(&schema).unwrap();
    let mut object = (0..120).fold(json!({}), |object, _| json!({"x": object, "y": 1}));
    assert_eq!(schema.prune(&mut object).len(), 102);
    schema.apply_defaults(&mut object);
    assert_eq!(schema.validate(&object, None).len(), 1);
    let open = StructuralSchema::parse(
        &json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    )
    .unwrap();
    let lists = (0..120).fold(json!([]), |object, _| json!([object]));
    let mut object = json!({"lists": lists});
    assert!(open.prune(&mut object).is_empty());
    assert!(open.validate(&object, None).is_empty());
}

#[test]
fn deep_and_long_rules_are_handled() {
    for rule in [
        format!("{}true{}", "(".repeat(5000), ")".repeat(5000)),
        "!".repeat(5000) + "true",
        vec!["self == 'x'"; 3000].join(" || "),
        format!("'{}' == self", "x".repeat(1_000_000)),
        "[".repeat(3000),
        "self.x.".repeat(1000) + "x",
        // These are just within the limits, so that they reach the parser.
        format!("{}true{}", "(".repeat(990), ")".repeat(990)),
        format!("{}1{}", "[".repeat(990), "]".repeat(990)),
        format!("{}1{}", "{1:".repeat(600), "}".repeat(600)),
        format!("{}1{}", "size(".repeat(990), ")".repeat(990)),
        "!".repeat(1990) + "true",
        "-".repeat(1990) + "1",
        "1 + ".repeat(1990) + "1",
        "true && ".repeat(990) + "true",
        "true ? true : ".repeat(990) + "true",
        format!("self{}", ".x".repeat(1990)),
        format!("self{}", "[0]".repeat(990)),
        format!("self{}", ".all(x, x".repeat(600)),
    ] {
        let schema = spec(
            json!({"a": {"type": "string", "maxLength": 5, "x-kubernetes-validations": [{"rule": rule, "message": "m"}]}}),
        );
        if let Ok(schema) = StructuralSchema::parse(&schema) {
            schema.validate(&json!({"spec": {"a": "x"}}), None);
        }
    }
}

#[test]
fn rules_nest_at_most_200_levels_deep() {
    let schema = |levels: usize| {
        let rule = format!("{}1 > 0", "1 + ".repeat(levels));
        spec(json!({"a": {"type": "string", "x-kubernetes-validations": [{"rule": rule}]}}))
    };
    let deep = StructuralSchema::parse(&schema(190)).unwrap();
    assert!(deep.validate(&json!({"spec": {"a": "x"}}), None).is_empty());
    let errors = StructuralSchema::parse(&schema(210)).unwrap_err();
    assert!(
        errors[0]
            .detail
            .ends_with("nested more than 200 levels deep"),
        "{errors:?}"
    );
}
