//! Validation of values, with Kubernetes' error messages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{assert_errors, parse_valid, spec, to_strings};
use serde_json::{Value, json};

/// Asserts the errors of a value with this schema.
#[track_caller]
fn assert_value_errors(schema: Value, value: Value, expected: &[&str]) {
    let schema = parse_valid(&spec(json!({"a": schema})));
    assert_errors(
        to_strings(&schema.validate(&json!({"spec": {"a": value}}), None)),
        expected,
    );
}

#[test]
fn values_must_have_the_type_of_their_schema() {
    let kinds = ["string", "integer", "number", "boolean", "object", "array"];
    let values = [
        ("string", json!("x")),
        ("integer", json!(1)),
        ("number", json!(1.5)),
        ("boolean", json!(true)),
        ("object", json!({})),
        ("array", json!([])),
        ("null", Value::Null),
    ];
    for kind in kinds {
        for (actual, value) in &values {
            let schema = json!({"type": kind, "items": {"type": "string"}});
            let is_match = kind == *actual || (kind, *actual) == ("number", "integer");
            let error = format!(
                "spec.a: Invalid value: \"{actual}\": spec.a in body must be of type {kind}: \"{actual}\""
            );
            let expected = [error.as_str()];
            assert_value_errors(
                schema,
                value.clone(),
                if is_match { &[] } else { &expected },
            );
        }
    }
}

#[test]
fn a_value_of_another_type_than_text_is_named_by_the_format() {
    for (value, format) in [
        (json!({}), ""),
        (json!(true), ""),
        (json!(1), "int64"),
        (json!(1.5), "float64"),
    ] {
        let error = format!(
            "spec.a: Invalid value: \"{format}\": spec.a in body must be of type date-time: \"{format}\""
        );
        let schema = json!({"type": "string", "format": "date-time"});
        assert_value_errors(schema, value, &[&error]);
    }
}

#[test]
fn integers_are_whole_numbers_of_64_bits() {
    let integer = || json!({"type": "integer"});
    assert_value_errors(integer(), json!(1.0), &[]);
    assert_value_errors(integer(), json!(i64::MAX), &[]);
    assert_value_errors(integer(), json!(i64::MIN), &[]);
    let number =
        "spec.a: Invalid value: \"number\": spec.a in body must be of type integer: \"number\"";
    assert_value_errors(integer(), json!(1.5), &[number]);
    assert_value_errors(integer(), json!(u64::MAX), &[number]);
    assert_value_errors(integer(), json!(1e300), &[number]);
}

#[test]
fn int_or_string_accepts_integers_and_strings() {
    let schema = || json!({"x-kubernetes-int-or-string": true});
    assert_value_errors(schema(), json!(1), &[]);
    assert_value_errors(schema(), json!("1"), &[]);
    let error = |kind: &str| {
        format!(
            "spec.a: Invalid value: \"{kind}\": spec.a in body must be of type integer,string: \"{kind}\""
        )
    };
    assert_value_errors(schema(), json!(true), &[&error("boolean")]);
    assert_value_errors(schema(), json!(1.5), &[&error("number")]);
    assert_value_errors(schema(), json!({}), &[&error("object")]);
    assert_value_errors(schema(), Value::Null, &[&error("null")]);
}

#[test]
fn numbers_must_be_within_bounds() {
    let bounded = || json!({"type": "number", "minimum": 1, "maximum": 2.5});
    assert_value_errors(bounded(), json!(1), &[]);
    assert_value_errors(bounded(), json!(2.5), &[]);
    assert_value_errors(
        bounded(),
        json!(0),
        &["spec.a: Invalid value: 0: spec.a in body should be greater than or equal to 1"],
    );
    assert_value_errors(
        bounded(),
        json!(3.5),
        &["spec.a: Invalid value: 3.5: spec.a in body should be less than or equal to 2.5"],
    );
    let exclusive = || json!({"type": "integer", "minimum": 1, "maximum": 3, "exclusiveMinimum": true, "exclusiveMaximum": true});
    assert_value_errors(exclusive(), json!(2), &[]);
    assert_value_errors(
        exclusive(),
        json!(1),
        &["spec.a: Invalid value: 1: spec.a in body should be greater than 1"],
    );
    assert_value_errors(
        exclusive(),
        json!(3),
        &["spec.a: Invalid value: 3: spec.a in body should be less than 3"],
    );
    // These two integers are equal when converted to floats.
    let limit = 9_007_199_254_740_992_i64;
    let precise = || json!({"type": "integer", "maximum": limit});
    assert_value_errors(precise(), json!(limit), &[]);
    let error = "spec.a: Invalid value: 9007199254740993: spec.a in body should be less than or equal to 9007199254740992";
    assert_value_errors(precise(), json!(limit + 1), &[error]);
}

#[test]
fn numbers_must_be_multiples_of_multiple_of() {
    assert_value_errors(json!({"type": "integer", "multipleOf": 3}), json!(-9), &[]);
    let error = "spec.a: Invalid value: 10: spec.a in body should be a multiple of 3";
    assert_value_errors(
        json!({"type": "integer", "multipleOf": 3}),
        json!(10),
        &[error],
    );
    assert_value_errors(
        json!({"type": "number", "multipleOf": 0.1}),
        json!(0.3),
        &[],
    );
    let error = "spec.a: Invalid value: 0.35: spec.a in body should be a multiple of 0.1";
    assert_value_errors(
        json!({"type": "number", "multipleOf": 0.1}),
        json!(0.35),
        &[error],
    );
}

#[test]
fn lengths_are_counted_in_characters() {
    let schema = || json!({"type": "string", "minLength": 2, "maxLength": 3});
    assert_value_errors(schema(), json!("äöü"), &[]);
    assert_value_errors(
        schema(),
        json!("ä"),
        &["spec.a: Invalid value: \"ä\": spec.a in body should be at least 2 chars long"],
    );
    assert_value_errors(
        schema(),
        json!("äöüß"),
        &["spec.a: Too long: may not be more than 3 bytes"],
    );
}

#[test]
fn patterns_match_anywhere_in_a_string() {
    assert_value_errors(
        json!({"type": "string", "pattern": "b+"}),
        json!("abbc"),
        &[],
    );
    let error = "spec.a: Invalid value: \"x\\\"\\n\": spec.a in body should match '^a$'";
    assert_value_errors(
        json!({"type": "string", "pattern": "^a$"}),
        json!("x\"\n"),
        &[error],
    );
}

#[test]
fn values_must_be_in_the_enum() {
    let strings = json!({"type": "string", "enum": ["a", "b"]});
    assert_value_errors(strings.clone(), json!("b"), &[]);
    assert_value_errors(
        strings,
        json!("c"),
        &["spec.a: Unsupported value: \"c\": supported values: \"a\", \"b\""],
    );
    let numbers = json!({"type": "number", "enum": [1, 2.5]});
    assert_value_errors(numbers.clone(), json!(1.0), &[]);
    assert_value_errors(
        numbers,
        json!(3),
        &["spec.a: Unsupported value: 3: supported values: \"1\", \"2.5\""],
    );
}

#[test]
fn numbers_of_items_and_properties_are_limited() {
    let list =
        || json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2});
    assert_value_errors(list(), json!(["a"]), &[]);
    assert_value_errors(
        list(),
        json!([]),
        &["spec.a: Invalid value: 0: spec.a in body should have at least 1 items"],
    );
    assert_value_errors(
        list(),
        json!(["a", "b", "c"]),
        &["spec.a: Too many: 3: must have at most 2 items"],
    );
    let map = || json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1});
    assert_value_errors(map(), json!({"k": "v"}), &[]);
    assert_value_errors(
        map(),
        json!({}),
        &["spec.a: Invalid value: 0: spec.a in body should have at least 1 properties"],
    );
    assert_value_errors(
        map(),
        json!({"k": "v", "l": "v"}),
        &["spec.a: Too many: 2: must have at most 1 items"],
    );
}

#[test]
fn required_fields_must_be_present() {
    let schema = || json!({"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "string"}, "y": {"type": "string"}}});
    assert_value_errors(schema(), json!({"x": "", "y": ""}), &[]);
    assert_value_errors(schema(), json!({"y": ""}), &["spec.a.x: Required value"]);
    assert_value_errors(
        schema(),
        json!({}),
        &["spec.a.x: Required value", "spec.a.y: Required value"],
    );
}

#[test]
fn every_error_contains_its_path() {
    let schema = json!({"type": "array", "items": {"type": "object", "properties": {
        "m": {"type": "object", "additionalProperties": {"type": "integer"}}}}});
    let value = json!([{"m": {"k": "x"}}, {"m": {"k": 1}}, 3]);
    assert_value_errors(
        schema,
        value,
        &[
            "spec.a[0].m.k: Invalid value: \"string\": spec.a[0].m.k in body must be of type integer: \"string\"",
            "spec.a[2]: Invalid value: \"integer\": spec.a[2] in body must be of type object: \"integer\"",
        ],
    );
}

#[test]
fn any_of_one_of_all_of_and_not_are_checked() {
    let schema = |keyword: &str| json!({"type": "integer", keyword: [{"minimum": 5}, {"maximum": 10}, {"multipleOf": 7}]});
    assert_value_errors(schema("anyOf"), json!(4), &[]);
    assert_value_errors(schema("oneOf"), json!(4), &[]);
    assert_value_errors(schema("allOf"), json!(7), &[]);
    let whole = |text: &str| format!("<nil>: Invalid value: \"\": \"spec.a\" {text}");
    assert_value_errors(
        schema("oneOf"),
        json!(7),
        &[&whole(
            "must validate one and only one schema (oneOf). Found 3 valid alternatives",
        )],
    );
    assert_value_errors(
        schema("allOf"),
        json!(6),
        &[
            &whole("must validate all the schemas (allOf)"),
            "spec.a: Invalid value: 6: spec.a in body should be a multiple of 7",
        ],
    );
    let none = json!({"type": "integer", "oneOf": [{"minimum": 5}, {"minimum": 6}]});
    assert_value_errors(
        none,
        json!(1),
        &[
            &whole("must validate one and only one schema (oneOf). Found none valid"),
            "spec.a: Invalid value: 1: spec.a in body should be greater than or equal to 5",
        ],
    );
    let any = json!({"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
        "anyOf": [{"required": ["x"]}, {"required": ["y"]}]});
    assert_value_errors(any.clone(), json!({"y": ""}), &[]);
    assert_value_errors(
        any,
        json!({}),
        &[
            &whole("must validate at least one schema (anyOf)"),
            "spec.a.x: Required value",
        ],
    );
    assert_value_errors(
        json!({"type": "string", "not": {"pattern": "^a"}}),
        json!("b"),
        &[],
    );
    assert_value_errors(
        json!({"type": "string", "not": {"pattern": "^a"}}),
        json!("ab"),
        &[&whole("must not validate the schema (not)")],
    );
}

#[test]
fn errors_are_those_of_the_alternative_that_passed_most_checks() {
    let text = || json!({"type": "string"});
    let schema = json!({"type": "object", "properties": {"x": text(), "y": text(), "z": text()}, "anyOf": [
        {"required": ["z"]},
        {"properties": {"x": {"minLength": 1}, "y": {"minLength": 9}}},
        {"properties": {"x": {"maxLength": 0}}},
    ]});
    assert_value_errors(
        schema,
        json!({"x": "a", "y": "b"}),
        &[
            "<nil>: Invalid value: \"\": \"spec.a\" must validate at least one schema (anyOf)",
            "spec.a.y: Invalid value: \"b\": spec.a.y in body should be at least 9 chars long",
        ],
    );
    // Checks that passed in a nested alternative count, too.
    let nested = json!({"type": "object", "properties": {"x": text()}, "oneOf": [
        {"required": ["z"], "properties": {"x": {"minLength": 1}}},
        {"maxProperties": 0, "anyOf": [{"properties": {"x": {"minLength": 1}}}]},
    ]});
    assert_value_errors(
        nested,
        json!({"x": "a"}),
        &[
            "<nil>: Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). Found none valid",
            "spec.a: Too many: 1: must have at most 0 items",
        ],
    );
}

#[test]
fn the_same_error_is_reported_once() {
    let required = || json!({"required": ["x"]});
    let schema = json!({"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}, "allOf": [required(), required()]});
    assert_value_errors(
        schema,
        json!({}),
        &[
            "<nil>: Invalid value: \"\": \"spec.a\" must validate all the schemas (allOf). None validated",
            "spec.a.x: Required value",
        ],
    );
}

#[test]
fn items_of_sets_and_keys_of_map_lists_are_unique() {
    let set = |kind: &str| json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": kind}});
    assert_value_errors(set("string"), json!(["a", "b"]), &[]);
    assert_value_errors(
        set("string"),
        json!(["a", "b", "a", "a"]),
        &["spec.a[2]: Duplicate value: \"a\""],
    );
    assert_value_errors(
        set("integer"),
        json!([1, 2, 1]),
        &["spec.a[2]: Duplicate value: 1"],
    );
    let map = |keys: Value| {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
        "items": {"type": "object", "required": ["k", "l"], "properties": {"k": {"type": "string"}, "l": {"type": "integer"}}}})
    };
    let entries = json!([{"k": "a", "l": 1}, {"k": "a", "l": 2}, {"k": "b", "l": 1}]);
    assert_value_errors(map(json!(["k", "l"])), entries.clone(), &[]);
    assert_value_errors(
        map(json!(["k"])),
        entries,
        &["spec.a[1]: Duplicate value: {\"k\":\"a\"}"],
    );
}

#[test]
fn duplicates_are_found_in_long_lists() {
    let set =
        json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}});
    let mut items: Vec<i64> = (0..500).collect();
    assert_value_errors(set.clone(), json!(items), &[]);
    items.extend([0, 499]);
    assert_value_errors(
        set,
        json!(items),
        &[
            "spec.a[500]: Duplicate value: 0",
            "spec.a[501]: Duplicate value: 499",
        ],
    );
}

#[test]
fn strings_must_have_their_format() {
    let cases = [
        (
            "date-time",
            "2024-02-29T23:59:59.5+02:00",
            "2023-02-29T00:00:00Z",
        ),
        ("datetime", "2024-01-02t03:04:05z", "2024-01-02 03:04:05Z"),
        ("date", "2024-02-29", "2024-2-9"),
        ("email", "A B <a.b@example.com>", "a@b@example.com, c"),
        ("ipv4", "1.2.3.4", "1.2.3.256"),
        ("ipv6", "fe80::1", "1.2.3.4"),
        ("cidr", "fd00::/64", "10.0.0.0/33"),
        ("mac", "0123.4567.89ab", "01:23:45:67:89"),
        ("hostname", "a-b.example.com", "-a.example.com"),
        ("uri", "mailto:a@example.com", "relative/path"),
        (
            "uuid",
            "123E4567e89b12d3a456426614174000",
            "123e4567-e89b-12d3-a456-42661417400",
        ),
        (
            "uuid3",
            "123e4567-e89b-32d3-a456-426614174000",
            "123e4567-e89b-42d3-a456-426614174000",
        ),
        (
            "uuid4",
            "123e4567-e89b-42d3-a456-426614174000",
            "123e4567-e89b-42d3-c456-426614174000",
        ),
        (
            "uuid5",
            "123e4567-e89b-52d3-a456-426614174000",
            "123e4567-e89b-42d3-a456-426614174000",
        ),
        ("duration", "-1.5h30m", "5 parsecs"),
        ("byte", "AA==", "AA"),
        ("hexcolor", "#fff", "#ffff"),
        ("rgbcolor", "rgb( 0, 10 ,255)", "rgb(256,0,0)"),
        ("ssn", "123-45-6789", "1234-5-6789"),
        ("isbn10", "0-306-40615-2", "0-306-40615-3"),
        ("isbn13", "978-0-306-40615-7", "978-0-306-40615-8"),
        ("isbn", "080442957X", "0804429570"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        (
            "bsonobjectid",
            "507f1f77bcf86cd799439011",
            "507f1f77bcf86cd79943901",
        ),
        ("k8s-short-name", "a-1", "a.b"),
        ("k8s-long-name", "a-1.b", "a..b"),
    ];
    for (format, good, bad) in cases {
        let schema = json!({"type": "string", "format": format});
        assert_value_errors(schema.clone(), json!(good), &[]);
        let error = format!(
            "spec.a: Invalid value: \"{bad}\": spec.a in body must be of type {format}: \"{bad}\""
        );
        assert_value_errors(schema, json!(bad), &[&error]);
    }
    for format in ["password", "made-up", "int32"] {
        assert_value_errors(
            json!({"type": "string", "format": format}),
            json!("anything"),
            &[],
        );
    }
}

#[test]
fn metadata_of_embedded_resources_is_validated() {
    let schema = || json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    let with = |metadata: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
    assert_value_errors(
        schema(),
        with(json!({"name": "n", "labels": {"a.b/c": "d"}})),
        &[],
    );
    assert_value_errors(
        schema(),
        json!({"kind": ""}),
        &[
            "spec.a.apiVersion: Required value",
            "spec.a.kind: Required value",
        ],
    );
    let open = parse_valid(&spec(json!({"a": schema()})));
    let labels = json!({"spec": {"a": with(json!({"labels": {"a/b/c": "x y"}}))}});
    let errors = open.validate(&labels, None);
    assert!(
        errors
            .iter()
            .all(|error| error.field == "spec.a.metadata.labels"),
        "{errors:?}"
    );
    assert_eq!(errors.len(), 2);
    let owners = json!({"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}, {"apiVersion": "apps/", "name": "n"}]});
    assert_value_errors(
        schema(),
        with(owners),
        &[
            "spec.a.metadata.ownerReferences[1].apiVersion: Invalid value: \"apps/\": version must not be empty",
            "spec.a.metadata.ownerReferences[1].kind: Invalid value: \"\": must not be empty",
            "spec.a.metadata.ownerReferences[1].uid: Invalid value: \"\": must not be empty",
        ],
    );
    let broken = json!({"spec": {"a": with(json!({"finalizers": [1]}))}});
    let error = open.check_metadata(&broken).unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid value: {\"finalizers\":[1]}: json: cannot unmarshal number into Go struct field ObjectMeta.finalizers of type string"
    );
    assert_eq!(error.field, "spec.a.metadata");
}

#[test]
fn each_kind_of_error_has_its_reason() {
    let schema = parse_valid(&json!({"type": "object", "required": ["r"], "properties": {
        "r": {"type": "string"}, "t": {"type": "string"}, "e": {"type": "string", "enum": ["a"]},
        "l": {"type": "string", "maxLength": 1}, "m": {"type": "array", "maxItems": 0, "items": {"type": "string"}},
        "i": {"type": "string", "minLength": 1}, "s": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}}}));
    let object = json!({"t": 1, "e": "b", "l": "xx", "m": ["x"], "i": "", "s": ["a", "a"]});
    let mut reasons: Vec<_> = schema
        .validate(&object, None)
        .iter()
        .map(|error| error.reason())
        .collect();
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            "FieldValueDuplicate",
            "FieldValueInvalid",
            "FieldValueNotSupported",
            "FieldValueRequired",
            "FieldValueTooLong",
            "FieldValueTooMany",
            "FieldValueTypeInvalid",
        ]
    );
}
