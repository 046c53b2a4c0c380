//! Invalid schemas, and their errors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{assert_errors, parse_errors, parse_valid, spec, to_strings};
use rdd_apiserver_schema::StructuralSchema;
use serde_json::{Value, json};

/// Asserts the errors of a schema with one property, with paths relative to the property.
#[track_caller]
fn assert_property_errors(schema: Value, expected: &[&str]) {
    let prefix = "properties[spec].properties[a]";
    let shorten = |text: String| {
        text.strip_prefix(prefix)
            .map_or(text.clone(), |rest| rest.trim_start_matches('.').to_owned())
    };
    let actual = parse_errors(&spec(json!({"a": schema})))
        .into_iter()
        .map(shorten)
        .collect();
    assert_errors(actual, expected);
}

#[test]
fn every_field_needs_a_type() {
    assert_property_errors(
        json!({}),
        &["type: Required value: must not be empty for specified object fields"],
    );
    assert_property_errors(
        json!({"type": "array"}),
        &["items: Required value: must be specified"],
    );
    assert_property_errors(
        json!({"type": "array", "items": {}}),
        &["items.type: Required value: must not be empty for specified array items"],
    );
    let values = json!({"type": "object", "additionalProperties": {}});
    assert_property_errors(
        values,
        &[
            "additionalProperties.type: Required value: must not be empty for specified object fields",
        ],
    );
    parse_valid(&spec(
        json!({"a": {"x-kubernetes-preserve-unknown-fields": true}}),
    ));
    parse_valid(&spec(json!({"a": {"x-kubernetes-int-or-string": true}})));
    assert_errors(
        parse_errors(&json!({})),
        &["type: Required value: must not be empty at the root"],
    );
    assert_errors(
        parse_errors(&json!({"type": "array", "items": {"type": "string"}})),
        &["type: Invalid value: \"array\": must be object at the root"],
    );
}

#[test]
fn the_root_is_an_object_with_implicit_metadata() {
    let root = json!({"type": "object", "nullable": true});
    assert_errors(
        parse_errors(&root),
        &["nullable: Forbidden: nullable cannot be true at the root"],
    );
    let open = json!({"type": "object", "additionalProperties": true});
    assert_errors(
        parse_errors(&open),
        &["additionalProperties: Forbidden: must not be used at the root"],
    );
    let meta = |schema: Value| json!({"type": "object", "properties": {"metadata": schema}});
    parse_valid(&meta(json!({"type": "object"})));
    parse_valid(&meta(
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}),
    ));
    let error = "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified";
    assert_errors(
        parse_errors(&meta(
            json!({"type": "object", "properties": {"labels": {"type": "object"}}}),
        )),
        &[error],
    );
    let kind = json!({"type": "object", "properties": {"kind": {"type": "integer"}}});
    assert_errors(
        parse_errors(&kind),
        &["properties[kind].type: Invalid value: \"integer\": must be string"],
    );
    let default =
        json!({"type": "object", "properties": {"kind": {"type": "string", "default": "x"}}});
    assert_errors(
        parse_errors(&default),
        &["properties[kind].default: Forbidden: must not be set in top-level kind"],
    );
}

#[test]
fn value_validation_must_not_contain_structure() {
    let forbidden = [
        ("type", json!("string"), "empty"),
        ("title", json!("t"), "empty"),
        ("description", json!("d"), "empty"),
        ("default", json!("d"), "undefined"),
        ("nullable", json!(true), "false"),
        ("externalDocs", json!({}), "undefined"),
        ("additionalProperties", json!(false), "undefined"),
        ("x-kubernetes-preserve-unknown-fields", json!(true), "false"),
        ("x-kubernetes-embedded-resource", json!(true), "false"),
        ("x-kubernetes-int-or-string", json!(true), "false"),
        (
            "x-kubernetes-validations",
            json!([{"rule": "true"}]),
            "empty",
        ),
    ];
    for (keyword, value, instead) in forbidden {
        for junctor in ["allOf", "anyOf", "oneOf"] {
            let schema = json!({"type": "string", junctor: [{keyword: value.clone()}]});
            assert_property_errors(
                schema,
                &[&format!(
                    "{junctor}[0].{keyword}: Forbidden: must be {instead} to be structural"
                )],
            );
        }
        let schema = json!({"type": "string", "not": {keyword: value}});
        assert_property_errors(
            schema,
            &[&format!(
                "not.{keyword}: Forbidden: must be {instead} to be structural"
            )],
        );
    }
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object"}},
        "not": {"properties": {"metadata": {"minProperties": 1}}}});
    assert_property_errors(
        metadata,
        &["not.properties[metadata]: Forbidden: must not be specified in a nested context"],
    );
}

#[test]
fn value_validation_refers_to_declared_fields_only() {
    let nested =
        |not: Value| json!({"type": "object", "properties": {"x": {"type": "object"}}, "not": not});
    let field =
        nested(json!({"anyOf": [{"properties": {"x": {"properties": {"y": {"minLength": 1}}}}}]}));
    let path = "properties[x].properties[y]";
    let error = format!("{path}: Required value: because it is defined in not.anyOf[0].{path}");
    assert_errors(parse_errors(&field), &[&error]);
    let items = nested(json!({"properties": {"x": {"items": {"minLength": 1}}}}));
    let path = "properties[x].items";
    assert_errors(
        parse_errors(&items),
        &[&format!(
            "{path}: Required value: because it is defined in not.{path}"
        )],
    );
    parse_valid(&nested(json!({"properties": {"x": {"minProperties": 1}}})));
}

#[test]
fn int_or_string_may_list_its_types_in_value_validation() {
    let types = || json!([{"type": "integer"}, {"type": "string"}]);
    parse_valid(&spec(
        json!({"a": {"x-kubernetes-int-or-string": true, "anyOf": types()}}),
    ));
    parse_valid(&spec(
        json!({"a": {"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": types()}, {"minLength": 1}]}}),
    ));
    let swapped = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "string"}, {"type": "integer"}]});
    assert_property_errors(
        swapped,
        &[
            "anyOf[0].type: Forbidden: must be empty to be structural",
            "anyOf[1].type: Forbidden: must be empty to be structural",
        ],
    );
}

#[test]
fn unsupported_keywords_are_rejected() {
    for (keyword, value) in [
        ("$ref", json!("#/x")),
        ("id", json!("x")),
        ("definitions", json!({"x": {"type": "string"}})),
        ("dependencies", json!({"x": ["y"]})),
        ("patternProperties", json!({"x": {"type": "string"}})),
        ("additionalItems", json!(false)),
    ] {
        // Other errors are reported only if there are no unsupported keywords.
        assert_property_errors(
            json!({keyword: value}),
            &[&format!("{keyword}: Forbidden: {keyword} is not supported")],
        );
    }
    assert_property_errors(
        json!({"$schema": "x"}),
        &[": Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"],
    );
    assert_property_errors(
        json!({"type": "string", "surprise": 1}),
        &["surprise: Forbidden: is not a keyword of schemas"],
    );
    assert_property_errors(
        json!({"type": "string", "minLength": "1"}),
        &["minLength: Invalid value: \"1\": must be an integer"],
    );
    assert_property_errors(
        json!({"type": "string", "pattern": "(?<!x)"}),
        &[
            "pattern: Invalid value: \"(?<!x)\": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?<`",
        ],
    );
    assert_property_errors(
        json!({"type": "number", "multipleOf": 0}),
        &["multipleOf: Invalid value: 0: must be greater than 0"],
    );
}

#[test]
fn unknown_keywords_can_be_pruned() {
    let mut schema = json!({"type": "object", "x": 1, "properties": {"x": {"type": "array", "items": {"type": "string", "y": 1}}},
        "allOf": [{"z": 1}], "x-kubernetes-validations": [{"rule": "true", "w": 1}], "externalDocs": {"url": "u", "v": 1}});
    let removed = StructuralSchema::prune_keywords(&mut schema);
    let expected = [
        "allOf[0].z",
        "externalDocs.v",
        "properties.x.items.y",
        "x",
        "x-kubernetes-validations[0].w",
    ];
    assert_eq!(removed, expected);
    parse_valid(&schema);
    assert!(StructuralSchema::prune_keywords(&mut schema).is_empty());
}

#[test]
fn unknown_formats_cause_a_warning() {
    let schema = spec(
        json!({"a": {"type": "string", "format": "made-up"}, "b": {"type": "integer", "format": "int32"},
        "c": {"type": "array", "items": {"type": "string", "format": "made-up"}}, "d": {"type": "string", "format": "date-time"}}),
    );
    assert_eq!(
        parse_valid(&schema).warnings(),
        ["unrecognized format \"made-up\""]
    );
}

#[test]
fn defaults_must_be_valid() {
    let good = [
        json!({"type": "string", "nullable": true, "default": null}),
        json!({"type": "integer", "default": 1.0}),
        json!({"type": "object", "properties": {"x": {"type": "string"}}, "default": {"x": "y"}}),
        json!({"type": "integer", "default": 4, "x-kubernetes-validations": [{"rule": "self > 3"}]}),
    ];
    for schema in good {
        parse_valid(&spec(json!({"a": schema})));
    }
    assert_property_errors(
        json!({"type": "string", "maxLength": 1, "default": "xy"}),
        &["default: Too long: may not be more than 1 bytes"],
    );
    let deep = json!({"type": "array", "default": [{"x": 1}], "items": {"type": "object", "properties": {"x": {"type": "string"}}}});
    assert_property_errors(
        deep,
        &[
            "default.[0].x: Invalid value: \"integer\": [0].x in body must be of type string: \"integer\"",
        ],
    );
    let unknown = json!({"type": "object", "default": {"z": 1}});
    assert_property_errors(
        unknown,
        &["default: Invalid value: {\"z\":1}: must not have unknown fields"],
    );
    let ruled = json!({"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 3", "message": "too small"}]});
    assert_property_errors(ruled, &["default: Invalid value: 1: too small"]);
}

#[test]
fn all_paths_in_errors_begin_with_the_prefix() {
    let schema = spec(json!({"a": {}, "b": {"type": "string", "not": {"title": "t"}}}));
    let errors =
        StructuralSchema::parse_at("spec.versions[1].schema.openAPIV3Schema", &schema).unwrap_err();
    assert_errors(
        to_strings(&errors),
        &[
            "spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields",
            "spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[b].not.title: Forbidden: must be empty to be structural",
        ],
    );
}

#[test]
fn list_and_map_types_have_requirements() {
    let list = |kind: &str, keys: &[&str], item: Value| json!({"type": "array", "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": keys, "items": item});
    let entry = || json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "l": {"type": "string", "default": "x"}, "o": {"type": "object"}}});
    for valid in [
        list("atomic", &[], entry()),
        list("set", &[], json!({"type": "string"})),
        list(
            "set",
            &[],
            json!({"type": "object", "x-kubernetes-map-type": "atomic"}),
        ),
        list("set", &[], list("atomic", &[], json!({"type": "string"}))),
        list("map", &["k", "l"], entry()),
        json!({"type": "object", "x-kubernetes-map-type": "granular"}),
    ] {
        parse_valid(&spec(json!({"a": valid})));
    }
    let keys = "x-kubernetes-list-map-keys";
    assert_property_errors(
        list("bag", &[], entry()),
        &[
            "x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
        ],
    );
    assert_property_errors(
        list("set", &[], entry()),
        &[
            "items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    let inner = list("set", &[], json!({"type": "string"}));
    assert_property_errors(
        list("set", &[], inner),
        &[
            "items.x-kubernetes-list-type: Invalid value: \"set\": must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    assert_property_errors(
        list("set", &[], json!({"type": "string", "nullable": true})),
        &["items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"],
    );
    assert_property_errors(
        list("map", &[], entry()),
        &[&format!(
            "{keys}: Required value: must not be empty if x-kubernetes-list-type is map"
        )],
    );
    assert_property_errors(
        list("map", &["z"], entry()),
        &[&format!(
            "{keys}: Invalid value: [\"z\"]: entries must all be names of item properties"
        )],
    );
    assert_property_errors(
        list("map", &["k", "k"], entry()),
        &[&format!(
            "{keys}: Invalid value: [\"k\",\"k\"]: must not contain duplicate entries"
        )],
    );
    assert_property_errors(
        list("map", &["o", "k"], entry()),
        &[
            "items.properties[o].type: Invalid value: \"object\": must be a scalar type if parent array's x-kubernetes-list-type is map",
            "items.properties[o].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ],
    );
    assert_property_errors(
        list("map", &["k"], json!({"type": "string"})),
        &[
            "items.type: Invalid value: \"string\": must be object if parent array's x-kubernetes-list-type is map",
        ],
    );
    assert_property_errors(
        list("atomic", &["k"], entry()),
        &[
            "x-kubernetes-list-type: Invalid value: \"atomic\": must be map if x-kubernetes-list-map-keys is non-empty",
        ],
    );
    assert_property_errors(
        json!({"type": "string", "x-kubernetes-list-type": "set"}),
        &["type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"],
    );
    assert_property_errors(
        json!({"type": "object", "x-kubernetes-map-type": "loose"}),
        &[
            "x-kubernetes-map-type: Unsupported value: \"loose\": supported values: \"atomic\", \"granular\"",
        ],
    );
    assert_property_errors(
        json!({"type": "string", "x-kubernetes-map-type": "atomic"}),
        &["type: Invalid value: \"string\": must be object if x-kubernetes-map-type is specified"],
    );
}

#[test]
fn embedded_resources_have_requirements() {
    let embedded = |more: Value| {
        let mut schema = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        schema
    };
    parse_valid(&spec(
        json!({"a": embedded(json!({"properties": {"metadata": {"type": "object"}}}))}),
    ));
    assert_property_errors(
        embedded(json!({"type": "string"})),
        &[
            "type: Invalid value: \"string\": must be object if x-kubernetes-embedded-resource is true",
        ],
    );
    assert_property_errors(
        embedded(json!({"additionalProperties": true})),
        &[
            "additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set",
        ],
    );
    assert_property_errors(
        embedded(json!({"properties": {"kind": {"type": "integer"}}})),
        &["properties[kind].type: Invalid value: \"integer\": must be string"],
    );
    let inside = json!({"properties": {"metadata": {"type": "object", "properties": {"x": embedded(json!({}))}}}});
    assert_property_errors(
        embedded(inside),
        &[
            "properties[metadata].properties[x].x-kubernetes-embedded-resource: Forbidden: must not be used inside of resource meta",
        ],
    );
    let bare = json!({"type": "object", "x-kubernetes-embedded-resource": true});
    assert_property_errors(
        bare,
        &[
            "properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ],
    );
    let either =
        json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true});
    assert_property_errors(
        either,
        &[
            "x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true",
        ],
    );
}
