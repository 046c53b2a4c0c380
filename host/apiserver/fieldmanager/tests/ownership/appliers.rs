//! Several appliers of one object: shared fields, removed fields, conflicts, force, and defaults.

use rdd_apiserver_fieldmanager::{
    FieldPath, ObjectType, TrackingRequest, apply, managers, reset_fields,
};
use serde_json::{Value, json};

use crate::tracked_object::{TrackedObject, V1, expect_conflicts, schema};

#[test]
fn fields_of_a_config_map_are_shared_taken_and_given_up() {
    let mut object = TrackedObject::config_map();
    let data = |data: Value| json!({ "data": data });
    object
        .apply_with("one", data(json!({"k": "1", "j": "2"})), false)
        .unwrap();
    assert_eq!(
        object.owners(),
        [r#"one Apply {"f:data":{"f:j":{},"f:k":{}}}"#]
    );
    let created = object.live().clone();
    object
        .apply_with("one", data(json!({"k": "1", "j": "2"})), false)
        .unwrap();
    assert_eq!(
        *object.live(),
        created,
        "applying the same again changes nothing, not even the time"
    );

    object
        .apply_with("two", data(json!({"m": "3"})), false)
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:data":{"f:j":{},"f:k":{}}}"#,
            r#"two Apply {"f:data":{"f:m":{}}}"#
        ]
    );
    let (causes, message) =
        expect_conflicts(object.apply_with("two", data(json!({"k": "9"})), false));
    assert_eq!(causes, ["one: .data.k"]);
    assert_eq!(
        message,
        r#"Apply failed with 1 conflict: conflict with "one": .data.k"#
    );
    let (causes, message) =
        expect_conflicts(object.apply_with("two", data(json!({"k": "9", "j": "8"})), false));
    assert_eq!(causes, ["one: .data.j", "one: .data.k"]);
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.j\n- .data.k"
    );

    object
        .apply_with("two", data(json!({"k": "1"})), false)
        .unwrap();
    assert_eq!(
        object.live()["data"],
        json!({"j": "2", "k": "1"}),
        "two was the only owner of m"
    );
    object
        .apply_with("two", data(json!({"k": "9"})), true)
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:data":{"f:j":{}}}"#,
            r#"two Apply {"f:data":{"f:k":{}}}"#
        ]
    );
    object.apply_with("one", data(json!({})), false).unwrap();
    assert_eq!(object.live()["data"], json!({"k": "9"}));
    assert_eq!(
        object.owners(),
        // Sorted by time: two wrote before one.
        [
            r#"two Apply {"f:data":{"f:k":{}}}"#,
            r#"one Apply {"f:data":{}}"#
        ]
    );
    object
        .apply_with("three", data(json!({"k": "9", "m": "3"})), false)
        .unwrap();
    object.apply_with("two", data(json!({})), false).unwrap();
    assert_eq!(
        object.live()["data"],
        json!({"k": "9", "m": "3"}),
        "three still owns k"
    );
    object.apply_with("three", data(json!({})), false).unwrap();
    assert_eq!(
        object.live()["data"],
        json!({}),
        "nobody owns any of its fields"
    );
    assert_eq!(managers(object.live()).len(), 3);
}

#[test]
fn objects_and_maps_are_granular_or_atomic() {
    let mut object = TrackedObject::new();
    object.apply("one", json!({"obj": {"x": "1"}, "map": {"k": "v"}, "atomicObj": {"x": "1"}, "atomicMap": {"k": "v"}}))
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:spec":{"f:atomicMap":{},"f:atomicObj":{},"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#
        ]
    );
    object
        .apply("two", json!({"obj": {"y": "2"}, "map": {"l": "w"}}))
        .unwrap();
    assert_eq!(
        object.owners()[1],
        r#"two Apply {"f:spec":{"f:map":{"f:l":{}},"f:obj":{"f:y":{}}}}"#
    );

    let granular = json!({"obj": {"y": "2"}, "map": {"l": "w"}});
    let with = |more: Value| {
        let mut spec = granular.clone();
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    assert_eq!(
        object
            .expect_conflict("two", with(json!({"atomicObj": {"y": "2"}})))
            .0,
        ["one: .spec.atomicObj"]
    );
    assert_eq!(
        object
            .expect_conflict("two", with(json!({"atomicMap": {"l": "w"}})))
            .0,
        ["one: .spec.atomicMap"]
    );
    object.force_apply(
        "two",
        with(json!({"atomicObj": {"y": "2"}, "atomicMap": {"l": "w"}})),
    );
    assert_eq!(
        object.spec(),
        json!({"atomicMap": {"l": "w"}, "atomicObj": {"y": "2"}, "map": {"k": "v", "l": "w"}, "obj": {"x": "1", "y": "2"}})
    );
    assert_eq!(
        object.owners()[0],
        r#"one Apply {"f:spec":{"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#
    );

    object
        .apply(
            "one",
            json!({"obj": {"x": "1"}, "map": {"k": "v"}, "atomicMap": {"l": "w"}}),
        )
        .unwrap();
    assert_eq!(
        object.owners()[0],
        r#"one Apply {"f:spec":{"f:atomicMap":{},"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#,
        "the same value is shared"
    );
    object.apply("one", json!({"obj": {}, "map": {}})).unwrap();
    assert_eq!(
        object.spec(),
        json!({"atomicMap": {"l": "w"}, "atomicObj": {"y": "2"}, "map": {"l": "w"}, "obj": {"y": "2"}})
    );
    assert_eq!(
        object.owners(),
        [
            r#"two Apply {"f:spec":{"f:atomicMap":{},"f:atomicObj":{},"f:map":{"f:l":{}},"f:obj":{"f:y":{}}}}"#,
            r#"one Apply {"f:spec":{"f:map":{},"f:obj":{}}}"#
        ]
    );
    assert_eq!(
        object
            .expect_conflict("one", json!({"atomicObj": {}, "atomicMap": {}}))
            .0,
        ["two: .spec.atomicMap", "two: .spec.atomicObj"]
    );
    object.apply("two", json!({"obj": {"y": "2"}})).unwrap();
    assert_eq!(
        object.spec()["map"],
        json!({}),
        "one owns the map but none of its keys"
    );
}

#[test]
fn a_default_has_no_owner_until_it_is_applied() {
    let mut object = TrackedObject::new();
    object.apply("one", json!({"a": "1"})).unwrap();
    // The server sets the default, and no manager owns it.
    object.live.as_mut().unwrap()["spec"]["deflt"] = json!("given");
    object.apply("two", json!({"deflt": "given"})).unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"two Apply {"f:spec":{"f:deflt":{}}}"#,
            r#"one Apply {"f:spec":{"f:a":{}}}"#
        ]
    );
    assert_eq!(
        object.time_of("two"),
        None,
        "two has never changed the object"
    );
    assert_eq!(
        object.expect_conflict("three", json!({"deflt": "mine"})).0,
        ["two: .spec.deflt"]
    );
    object.force_apply("three", json!({"deflt": "mine"}));
    assert_eq!(object.time_of("three"), Some(object.time()));
    assert_eq!(object.owners().len(), 2, "two no longer owns any field");
    object.apply("three", json!({})).unwrap();
    assert_eq!(
        object.spec(),
        json!({"a": "1"}),
        "the caller sets the default again"
    );
    assert_eq!(object.owners()[1], r#"three Apply {"f:spec":{}}"#);
}

#[test]
fn types_of_undeclared_fields_are_deduced() {
    let mut object = TrackedObject::new();
    object
        .apply(
            "one",
            json!({"open": {"a": {"b": 1}, "l": [1, 2], "m": [{"name": "x"}]}, "ios": 5}),
        )
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:spec":{"f:ios":{},"f:open":{"f:a":{".":{},"f:b":{}},"f:l":{},"f:m":{}}}}"#
        ]
    );
    object
        .apply("two", json!({"open": {"a": {"c": 2}}}))
        .unwrap();
    assert_eq!(
        object.owners()[1],
        r#"two Apply {"f:spec":{"f:open":{"f:a":{".":{},"f:c":{}}}}}"#
    );
    for (spec, field) in [
        (json!({"open": {"l": [3]}}), ".spec.open.l"),
        (json!({"ios": "five"}), ".spec.ios"),
        (json!({"open": {"a": 5}}), ".spec.open.a"),
    ] {
        assert_eq!(
            object.expect_conflict("two", spec).0,
            [format!("one: {field}")]
        );
    }
    object
        .apply("one", json!({"open": {"a": {"b": 1}}}))
        .unwrap();
    assert_eq!(object.spec(), json!({"open": {"a": {"b": 1, "c": 2}}}));
    object
        .apply(
            "one",
            json!({"open": {"a.b/c": 1, "with space": {"x": 2}, "": 3}}),
        )
        .unwrap();
    assert_eq!(
        object.spec(),
        json!({"open": {"": 3, "a": {"c": 2}, "a.b/c": 1, "with space": {"x": 2}}})
    );
    assert_eq!(
        object.owners()[1],
        r#"one Apply {"f:spec":{"f:open":{"f:":{},"f:a.b/c":{},"f:with space":{".":{},"f:x":{}}}}}"#
    );
}

#[test]
fn an_invalid_configuration_is_rejected_with_its_path() {
    for (spec, violation) in [
        (
            json!({"zzz": "y"}),
            ".spec.zzz: field not declared in schema",
        ),
        (
            json!({"set": {"x": "y"}}),
            ".spec.set: expected list, got &{map[x:y]}",
        ),
        (json!({"obj": ["x"]}), ".spec.obj: expected map, got &{[x]}"),
        (
            json!({"n": "text"}),
            ".spec.n: expected numeric (int or float), got string",
        ),
        (json!({"flag": 1}), ".spec.flag: expected boolean, got &{1}"),
        (
            json!({"set": ["a", "a"]}),
            r#".spec.set: duplicate entries for key [="a"]"#,
        ),
        (
            json!({"numset": [1, 1.0]}),
            ".spec.numset: duplicate entries for key [=1.0]",
        ),
        (
            json!({"list": [{"name": "x"}, {"name": "x"}]}),
            r#".spec.list: duplicate entries for key [name="x"]"#,
        ),
        (
            json!({"two": [{"name": "x", "value": "1"}, {"name": "x", "proto": "TCP"}]}),
            r#".spec.two: duplicate entries for key [name="x",proto="TCP"]"#,
        ),
        (
            json!({"list": [{"value": "x"}]}),
            ".spec.list: element 0: associative list with keys has an element that omits all key fields [\"name\"] (and doesn't have default values for any key fields)",
        ),
        (
            json!({"list": [null]}),
            ".spec.list: element 0: associative list with keys may not have a null element",
        ),
        (
            json!({"list": [{"name": "x", "extra": {"k": 5}}]}),
            r#".spec.list[name="x"].extra.k: expected string, got &value.valueUnstructured{Value:5}"#,
        ),
    ] {
        let mut object = TrackedObject::new();
        let error = object.apply("m", spec).unwrap_err();
        assert_eq!(error.code(), 500);
        assert_eq!(
            error.to_string(),
            format!("failed to create typed patch object (/a; {V1}, Kind=Widget): {violation}")
        );
    }
}

#[test]
fn managed_fields_cannot_be_applied() {
    let mut object = TrackedObject::new();
    for managed in [json!([]), json!([{"manager": "x"}])] {
        let error = object
            .apply_with("m", json!({"metadata": {"managedFields": managed}}), false)
            .unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (400, "metadata.managedFields must be nil")
        );
    }
    object
        .apply_with(
            "m",
            json!({"metadata": {"managedFields": null}, "spec": {"a": "1"}}),
            false,
        )
        .unwrap();
    assert_eq!(object.owners(), [r#"m Apply {"f:spec":{"f:a":{}}}"#]);
}

#[test]
fn metadata_is_tracked_except_identity() {
    let mut object = TrackedObject::new();
    object.apply_with(
        "m",
        json!({"metadata": {
            "namespace": "ns", "uid": "u", "resourceVersion": "1", "creationTimestamp": null, "generation": 1, "generateName": "g-",
            "labels": {"l": "1"}, "annotations": {}, "finalizers": ["x/one"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u1"}]}}),
        false,
    )
    .unwrap();
    assert_eq!(
        object.owners(),
        [concat!(
            r#"m Apply {"f:metadata":{"f:annotations":{},"f:finalizers":{"v:\"x/one\"":{}},"f:generateName":{},"f:labels":{"f:l":{}},"#,
            r#""f:ownerReferences":{"k:{\"uid\":\"u1\"}":{}}}}"#
        )]
    );
    let mut nothing = TrackedObject::new();
    nothing.apply_with("m", json!({}), false).unwrap();
    assert!(
        nothing.owners().is_empty(),
        "an object without fields has no owner"
    );
}

#[test]
fn reset_fields_are_neither_changed_nor_owned() {
    let mut object = TrackedObject::new();
    object.reset_fields = reset_fields(None, true);
    object
        .apply_with(
            "main",
            json!({"spec": {"a": "1"}, "status": {"phase": "x"}}),
            false,
        )
        .unwrap();
    assert_eq!(object.owners(), [r#"main Apply {"f:spec":{"f:a":{}}}"#]);
    object
        .live
        .as_mut()
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("status");

    object.subresource = Some("status");
    object.reset_fields = reset_fields(Some("status"), true);
    object
        .apply_with(
            "main",
            json!({"spec": {"a": "other"}, "status": {"conditions": [{"type": "Ready"}]}}),
            false,
        )
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"main Apply {"f:spec":{"f:a":{}}}"#,
            r#"main Apply/status {"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:type":{}}}}}"#
        ],
        "the status subresource resets the spec, so nothing conflicts"
    );
    let (causes, message) = expect_conflicts(
        object.apply_with(
            "other",
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "y"}}),
            false,
        )
        .and_then(|()| {
            object.apply_with(
                "main",
                json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
                false,
            )
        }),
    );
    assert_eq!(
        causes,
        [r#"other: .status.conditions[type="Ready"].status"#]
    );
    assert_eq!(
        message,
        r#"Apply failed with 1 conflict: conflict with "other" with subresource "status": .status.conditions[type="Ready"].status"#
    );
}

#[test]
fn an_applier_has_one_entry_for_all_versions() {
    let types = ObjectType::from_openapi(&schema());
    let object = |version: &str, spec: Value| json!({"apiVersion": version, "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
    let at = |version: &'static str, manager: &'static str| TrackingRequest {
        manager,
        api_version: version,
        subresource: None,
        now: "2026-01-01T00:00:00Z",
        object_type: &types,
        versions: &[],
        zero: None,
        reset_fields: &[],
    };
    let one = apply(
        None,
        &object("g/v1", json!({"a": "1"})),
        false,
        &at("g/v1", "one"),
    )
    .unwrap();
    let two = apply(
        Some(&one),
        &object("g/v2", json!({"b": "2"})),
        false,
        &at("g/v2", "two"),
    )
    .unwrap();
    let both = apply(
        Some(&two),
        &object("g/v2", json!({"a": "1", "n": 1})),
        false,
        &at("g/v2", "one"),
    )
    .unwrap();
    let entries = both["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["apiVersion"], "g/v2");
    assert_eq!(
        entries[0]["fieldsV1"],
        json!({"f:spec": {"f:a": {}, "f:n": {}}})
    );

    // A version that is no longer served owns no fields.
    let served = [("g/v2", &types)];
    let removed = TrackingRequest {
        versions: &served,
        ..at("g/v2", "three")
    };
    let three = apply(
        Some(&two),
        &object("g/v2", json!({"a": "9"})),
        false,
        &removed,
    )
    .unwrap();
    let names: Vec<String> = managers(&three).into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["three", "two"]);
}

#[test]
fn a_field_that_became_atomic_is_owned_as_a_whole() {
    let mut object = TrackedObject::new();
    object.apply("one", json!({"obj": {"x": "1"}})).unwrap();
    object.apply("two", json!({"obj": {"y": "2"}})).unwrap();
    let mut atomic = schema();
    atomic["properties"]["spec"]["properties"]["obj"]["x-kubernetes-map-type"] = json!("atomic");
    object.object_type = ObjectType::from_openapi(&atomic);
    assert_eq!(
        object.expect_conflict("two", json!({"obj": {"y": "3"}})).0,
        ["one: .spec.obj"]
    );
    object.force_apply("two", json!({"obj": {"y": "3"}}));
    assert_eq!(object.spec(), json!({"obj": {"y": "3"}}));
    assert_eq!(object.owners(), [r#"two Apply {"f:spec":{"f:obj":{}}}"#]);
}

#[test]
fn paths_are_formatted_as_in_messages() {
    assert_eq!(
        FieldPath::from_fields(&["spec", "replicas"]).to_string(),
        ".spec.replicas"
    );
    assert_eq!(FieldPath::default().to_string(), "");
}
