//! What a definition's schema is refused for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{refused, same, sound, spec, texts};
use rdd_apiserver_schema::StructuralSchema;
use serde_json::{Value, json};

/// A schema with one property must be refused for this; paths begin below the property.
#[track_caller]
fn property(schema: Value, expected: &[&str]) {
    let prefix = "properties[spec].properties[a]";
    let shorten = |text: String| {
        text.strip_prefix(prefix)
            .map_or(text.clone(), |rest| rest.trim_start_matches('.').to_owned())
    };
    let found = refused(&spec(json!({"a": schema})))
        .into_iter()
        .map(shorten)
        .collect();
    same(found, expected);
}

#[test]
fn types_are_required() {
    property(
        json!({}),
        &["type: Required value: must not be empty for specified object fields"],
    );
    property(
        json!({"type": "array"}),
        &["items: Required value: must be specified"],
    );
    property(
        json!({"type": "array", "items": {}}),
        &["items.type: Required value: must not be empty for specified array items"],
    );
    let values = json!({"type": "object", "additionalProperties": {}});
    property(
        values,
        &[
            "additionalProperties.type: Required value: must not be empty for specified object fields",
        ],
    );
    sound(&spec(
        json!({"a": {"x-kubernetes-preserve-unknown-fields": true}}),
    ));
    sound(&spec(json!({"a": {"x-kubernetes-int-or-string": true}})));
    same(
        refused(&json!({})),
        &["type: Required value: must not be empty at the root"],
    );
    same(
        refused(&json!({"type": "array", "items": {"type": "string"}})),
        &["type: Invalid value: \"array\": must be object at the root"],
    );
}

#[test]
fn the_root() {
    let root = json!({"type": "object", "nullable": true});
    same(
        refused(&root),
        &["nullable: Forbidden: nullable cannot be true at the root"],
    );
    let open = json!({"type": "object", "additionalProperties": true});
    same(
        refused(&open),
        &["additionalProperties: Forbidden: must not be used at the root"],
    );
    let meta = |schema: Value| json!({"type": "object", "properties": {"metadata": schema}});
    sound(&meta(json!({"type": "object"})));
    sound(&meta(
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}),
    ));
    let error = "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified";
    same(
        refused(&meta(
            json!({"type": "object", "properties": {"labels": {"type": "object"}}}),
        )),
        &[error],
    );
    let kind = json!({"type": "object", "properties": {"kind": {"type": "integer"}}});
    same(
        refused(&kind),
        &["properties[kind].type: Invalid value: \"integer\": must be string"],
    );
    let default =
        json!({"type": "object", "properties": {"kind": {"type": "string", "default": "x"}}});
    same(
        refused(&default),
        &["properties[kind].default: Forbidden: must not be set in top-level kind"],
    );
}

#[test]
fn value_validation_holds_no_structure() {
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
            property(
                schema,
                &[&format!(
                    "{junctor}[0].{keyword}: Forbidden: must be {instead} to be structural"
                )],
            );
        }
        let schema = json!({"type": "string", "not": {keyword: value}});
        property(
            schema,
            &[&format!(
                "not.{keyword}: Forbidden: must be {instead} to be structural"
            )],
        );
    }
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object"}},
        "not": {"properties": {"metadata": {"minProperties": 1}}}});
    property(
        metadata,
        &["not.properties[metadata]: Forbidden: must not be specified in a nested context"],
    );
}

#[test]
fn value_validation_names_what_is_declared() {
    let nested =
        |not: Value| json!({"type": "object", "properties": {"x": {"type": "object"}}, "not": not});
    let field =
        nested(json!({"anyOf": [{"properties": {"x": {"properties": {"y": {"minLength": 1}}}}}]}));
    let path = "properties[x].properties[y]";
    let error = format!("{path}: Required value: because it is defined in not.anyOf[0].{path}");
    same(refused(&field), &[&error]);
    let items = nested(json!({"properties": {"x": {"items": {"minLength": 1}}}}));
    let path = "properties[x].items";
    same(
        refused(&items),
        &[&format!(
            "{path}: Required value: because it is defined in not.{path}"
        )],
    );
    sound(&nested(json!({"properties": {"x": {"minProperties": 1}}})));
}

#[test]
fn int_or_string_may_name_its_types() {
    let types = || json!([{"type": "integer"}, {"type": "string"}]);
    sound(&spec(
        json!({"a": {"x-kubernetes-int-or-string": true, "anyOf": types()}}),
    ));
    sound(&spec(
        json!({"a": {"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": types()}, {"minLength": 1}]}}),
    ));
    let swapped = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "string"}, {"type": "integer"}]});
    property(
        swapped,
        &[
            "anyOf[0].type: Forbidden: must be empty to be structural",
            "anyOf[1].type: Forbidden: must be empty to be structural",
        ],
    );
}

#[test]
fn unsupported_keywords() {
    for (keyword, value) in [
        ("$ref", json!("#/x")),
        ("id", json!("x")),
        ("definitions", json!({"x": {"type": "string"}})),
        ("dependencies", json!({"x": ["y"]})),
        ("patternProperties", json!({"x": {"type": "string"}})),
        ("additionalItems", json!(false)),
    ] {
        // Whatever else is wrong is told only after these are gone.
        property(
            json!({keyword: value}),
            &[&format!("{keyword}: Forbidden: {keyword} is not supported")],
        );
    }
    property(
        json!({"$schema": "x"}),
        &[": Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"],
    );
    property(
        json!({"type": "string", "surprise": 1}),
        &["surprise: Forbidden: is not a keyword of schemas"],
    );
    property(
        json!({"type": "string", "minLength": "1"}),
        &["minLength: Invalid value: \"1\": must be an integer"],
    );
    property(
        json!({"type": "string", "pattern": "(?<!x)"}),
        &[
            "pattern: Invalid value: \"(?<!x)\": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?<`",
        ],
    );
    property(
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
    sound(&schema);
    assert!(StructuralSchema::prune_keywords(&mut schema).is_empty());
}

#[test]
fn formats_that_nothing_checks_are_told() {
    let schema = spec(
        json!({"a": {"type": "string", "format": "made-up"}, "b": {"type": "integer", "format": "int32"},
        "c": {"type": "array", "items": {"type": "string", "format": "made-up"}}, "d": {"type": "string", "format": "date-time"}}),
    );
    assert_eq!(
        sound(&schema).warnings(),
        ["unrecognized format \"made-up\""]
    );
}

#[test]
fn defaults() {
    let good = [
        json!({"type": "string", "nullable": true, "default": null}),
        json!({"type": "integer", "default": 1.0}),
        json!({"type": "object", "properties": {"x": {"type": "string"}}, "default": {"x": "y"}}),
        json!({"type": "integer", "default": 4, "x-kubernetes-validations": [{"rule": "self > 3"}]}),
    ];
    for schema in good {
        sound(&spec(json!({"a": schema})));
    }
    property(
        json!({"type": "string", "maxLength": 1, "default": "xy"}),
        &["default: Too long: may not be more than 1 bytes"],
    );
    let deep = json!({"type": "array", "default": [{"x": 1}], "items": {"type": "object", "properties": {"x": {"type": "string"}}}});
    property(
        deep,
        &[
            "default.[0].x: Invalid value: \"integer\": [0].x in body must be of type string: \"integer\"",
        ],
    );
    let unknown = json!({"type": "object", "default": {"z": 1}});
    property(
        unknown,
        &["default: Invalid value: {\"z\":1}: must not have unknown fields"],
    );
    let ruled = json!({"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 3", "message": "too small"}]});
    property(ruled, &["default: Invalid value: 1: too small"]);
}

#[test]
fn all_errors_carry_the_prefix() {
    let schema = spec(json!({"a": {}, "b": {"type": "string", "not": {"title": "t"}}}));
    let errors =
        StructuralSchema::parse_at("spec.versions[1].schema.openAPIV3Schema", &schema).unwrap_err();
    same(
        texts(&errors),
        &[
            "spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields",
            "spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[b].not.title: Forbidden: must be empty to be structural",
        ],
    );
}

#[test]
fn lists_and_maps() {
    let list = |kind: &str, keys: &[&str], item: Value| json!({"type": "array", "x-kubernetes-list-type": kind, "x-kubernetes-list-map-keys": keys, "items": item});
    let entry = || json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "l": {"type": "string", "default": "x"}, "o": {"type": "object"}}});
    for sound_one in [
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
        sound(&spec(json!({"a": sound_one})));
    }
    let keys = "x-kubernetes-list-map-keys";
    property(
        list("bag", &[], entry()),
        &[
            "x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
        ],
    );
    property(
        list("set", &[], entry()),
        &[
            "items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    let inner = list("set", &[], json!({"type": "string"}));
    property(
        list("set", &[], inner),
        &[
            "items.x-kubernetes-list-type: Invalid value: \"set\": must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    property(
        list("set", &[], json!({"type": "string", "nullable": true})),
        &["items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"],
    );
    property(
        list("map", &[], entry()),
        &[&format!(
            "{keys}: Required value: must not be empty if x-kubernetes-list-type is map"
        )],
    );
    property(
        list("map", &["z"], entry()),
        &[&format!(
            "{keys}: Invalid value: [\"z\"]: entries must all be names of item properties"
        )],
    );
    property(
        list("map", &["k", "k"], entry()),
        &[&format!(
            "{keys}: Invalid value: [\"k\",\"k\"]: must not contain duplicate entries"
        )],
    );
    property(
        list("map", &["o", "k"], entry()),
        &[
            "items.properties[o].type: Invalid value: \"object\": must be a scalar type if parent array's x-kubernetes-list-type is map",
            "items.properties[o].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ],
    );
    property(
        list("map", &["k"], json!({"type": "string"})),
        &[
            "items.type: Invalid value: \"string\": must be object if parent array's x-kubernetes-list-type is map",
        ],
    );
    property(
        list("atomic", &["k"], entry()),
        &[
            "x-kubernetes-list-type: Invalid value: \"atomic\": must be map if x-kubernetes-list-map-keys is non-empty",
        ],
    );
    property(
        json!({"type": "string", "x-kubernetes-list-type": "set"}),
        &["type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"],
    );
    property(
        json!({"type": "object", "x-kubernetes-map-type": "loose"}),
        &[
            "x-kubernetes-map-type: Unsupported value: \"loose\": supported values: \"atomic\", \"granular\"",
        ],
    );
    property(
        json!({"type": "string", "x-kubernetes-map-type": "atomic"}),
        &["type: Invalid value: \"string\": must be object if x-kubernetes-map-type is specified"],
    );
}

#[test]
fn embedded_resources() {
    let embedded = |more: Value| {
        let mut schema = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        schema
    };
    sound(&spec(
        json!({"a": embedded(json!({"properties": {"metadata": {"type": "object"}}}))}),
    ));
    property(
        embedded(json!({"type": "string"})),
        &[
            "type: Invalid value: \"string\": must be object if x-kubernetes-embedded-resource is true",
        ],
    );
    property(
        embedded(json!({"additionalProperties": true})),
        &[
            "additionalProperties: Forbidden: must not be used if x-kubernetes-embedded-resource is set",
        ],
    );
    property(
        embedded(json!({"properties": {"kind": {"type": "integer"}}})),
        &["properties[kind].type: Invalid value: \"integer\": must be string"],
    );
    let inside = json!({"properties": {"metadata": {"type": "object", "properties": {"x": embedded(json!({}))}}}});
    property(
        embedded(inside),
        &[
            "properties[metadata].properties[x].x-kubernetes-embedded-resource: Forbidden: must not be used inside of resource meta",
        ],
    );
    let bare = json!({"type": "object", "x-kubernetes-embedded-resource": true});
    property(
        bare,
        &[
            "properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ],
    );
    let either =
        json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true});
    property(
        either,
        &[
            "x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true",
        ],
    );
}
