//! Appliers among themselves: sharing, giving up, conflicts, force, defaults.

use rdd_apiserver_fieldmanager::{
    FieldPath, TrackingRequest, ObjectType, apply, managers, reset_fields,
};
use serde_json::{Value, json};

use crate::tracked_object::{V1, TrackedObject, expect_conflicts, schema};

#[test]
fn a_config_map_is_shared_taken_and_given_up() {
    let mut w = TrackedObject::config_map();
    let data = |data: Value| json!({ "data": data });
    w.apply_with("one", data(json!({"k": "1", "j": "2"})), false)
        .unwrap();
    assert_eq!(w.owners(), [r#"one Apply {"f:data":{"f:j":{},"f:k":{}}}"#]);
    let created = w.live().clone();
    w.apply_with("one", data(json!({"k": "1", "j": "2"})), false)
        .unwrap();
    assert_eq!(
        *w.live(),
        created,
        "applying the same again changes nothing, not even the time"
    );

    w.apply_with("two", data(json!({"m": "3"})), false).unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:data":{"f:j":{},"f:k":{}}}"#,
            r#"two Apply {"f:data":{"f:m":{}}}"#
        ]
    );
    let (causes, message) = expect_conflicts(w.apply_with("two", data(json!({"k": "9"})), false));
    assert_eq!(causes, ["one: .data.k"]);
    assert_eq!(
        message,
        r#"Apply failed with 1 conflict: conflict with "one": .data.k"#
    );
    let (causes, message) =
        expect_conflicts(w.apply_with("two", data(json!({"k": "9", "j": "8"})), false));
    assert_eq!(causes, ["one: .data.j", "one: .data.k"]);
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.j\n- .data.k"
    );

    w.apply_with("two", data(json!({"k": "1"})), false).unwrap();
    assert_eq!(
        w.live()["data"],
        json!({"j": "2", "k": "1"}),
        "m was two's alone"
    );
    w.apply_with("two", data(json!({"k": "9"})), true).unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:data":{"f:j":{}}}"#,
            r#"two Apply {"f:data":{"f:k":{}}}"#
        ]
    );
    w.apply_with("one", data(json!({})), false).unwrap();
    assert_eq!(w.live()["data"], json!({"k": "9"}));
    assert_eq!(
        w.owners(),
        // By time: two has not written since.
        [
            r#"two Apply {"f:data":{"f:k":{}}}"#,
            r#"one Apply {"f:data":{}}"#
        ]
    );
    w.apply_with("three", data(json!({"k": "9", "m": "3"})), false)
        .unwrap();
    w.apply_with("two", data(json!({})), false).unwrap();
    assert_eq!(
        w.live()["data"],
        json!({"k": "9", "m": "3"}),
        "three still owns k"
    );
    w.apply_with("three", data(json!({})), false).unwrap();
    assert_eq!(w.live()["data"], json!({}), "nobody owns anything in it");
    assert_eq!(managers(w.live()).len(), 3);
}

#[test]
fn objects_and_maps_are_granular_or_atomic() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"obj": {"x": "1"}, "map": {"k": "v"}, "atomicObj": {"x": "1"}, "atomicMap": {"k": "v"}}))
        .unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:spec":{"f:atomicMap":{},"f:atomicObj":{},"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#
        ]
    );
    w.apply("two", json!({"obj": {"y": "2"}, "map": {"l": "w"}}))
        .unwrap();
    assert_eq!(
        w.owners()[1],
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
        w.conflict("two", with(json!({"atomicObj": {"y": "2"}}))).0,
        ["one: .spec.atomicObj"]
    );
    assert_eq!(
        w.conflict("two", with(json!({"atomicMap": {"l": "w"}}))).0,
        ["one: .spec.atomicMap"]
    );
    w.force_apply(
        "two",
        with(json!({"atomicObj": {"y": "2"}, "atomicMap": {"l": "w"}})),
    );
    assert_eq!(
        w.spec(),
        json!({"atomicMap": {"l": "w"}, "atomicObj": {"y": "2"}, "map": {"k": "v", "l": "w"}, "obj": {"x": "1", "y": "2"}})
    );
    assert_eq!(
        w.owners()[0],
        r#"one Apply {"f:spec":{"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#
    );

    w.apply(
        "one",
        json!({"obj": {"x": "1"}, "map": {"k": "v"}, "atomicMap": {"l": "w"}}),
    )
    .unwrap();
    assert_eq!(
        w.owners()[0],
        r#"one Apply {"f:spec":{"f:atomicMap":{},"f:map":{"f:k":{}},"f:obj":{"f:x":{}}}}"#,
        "the same value is shared"
    );
    w.apply("one", json!({"obj": {}, "map": {}})).unwrap();
    assert_eq!(
        w.spec(),
        json!({"atomicMap": {"l": "w"}, "atomicObj": {"y": "2"}, "map": {"l": "w"}, "obj": {"y": "2"}})
    );
    assert_eq!(
        w.owners(),
        [
            r#"two Apply {"f:spec":{"f:atomicMap":{},"f:atomicObj":{},"f:map":{"f:l":{}},"f:obj":{"f:y":{}}}}"#,
            r#"one Apply {"f:spec":{"f:map":{},"f:obj":{}}}"#
        ]
    );
    assert_eq!(
        w.conflict("one", json!({"atomicObj": {}, "atomicMap": {}}))
            .0,
        ["two: .spec.atomicMap", "two: .spec.atomicObj"]
    );
    w.apply("two", json!({"obj": {"y": "2"}})).unwrap();
    assert_eq!(
        w.spec()["map"],
        json!({}),
        "one owns the map but nothing in it"
    );
}

#[test]
fn a_default_belongs_to_nobody_until_it_is_applied() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"a": "1"})).unwrap();
    // The server fills in the default without owning it.
    w.live.as_mut().unwrap()["spec"]["deflt"] = json!("given");
    w.apply("two", json!({"deflt": "given"})).unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"two Apply {"f:spec":{"f:deflt":{}}}"#,
            r#"one Apply {"f:spec":{"f:a":{}}}"#
        ]
    );
    assert_eq!(w.time_of("two"), None, "two has never changed the object");
    assert_eq!(
        w.conflict("three", json!({"deflt": "mine"})).0,
        ["two: .spec.deflt"]
    );
    w.force_apply("three", json!({"deflt": "mine"}));
    assert_eq!(w.time_of("three"), Some(w.time()));
    assert_eq!(w.owners().len(), 2, "two owns nothing any more");
    w.apply("three", json!({})).unwrap();
    assert_eq!(w.spec(), json!({"a": "1"}), "the default comes back later");
    assert_eq!(w.owners()[1], r#"three Apply {"f:spec":{}}"#);
}

#[test]
fn open_fields_follow_their_values() {
    let mut w = TrackedObject::new();
    w.apply(
        "one",
        json!({"open": {"a": {"b": 1}, "l": [1, 2], "m": [{"name": "x"}]}, "ios": 5}),
    )
    .unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:spec":{"f:ios":{},"f:open":{"f:a":{".":{},"f:b":{}},"f:l":{},"f:m":{}}}}"#
        ]
    );
    w.apply("two", json!({"open": {"a": {"c": 2}}})).unwrap();
    assert_eq!(
        w.owners()[1],
        r#"two Apply {"f:spec":{"f:open":{"f:a":{".":{},"f:c":{}}}}}"#
    );
    for (spec, field) in [
        (json!({"open": {"l": [3]}}), ".spec.open.l"),
        (json!({"ios": "five"}), ".spec.ios"),
        (json!({"open": {"a": 5}}), ".spec.open.a"),
    ] {
        assert_eq!(w.conflict("two", spec).0, [format!("one: {field}")]);
    }
    w.apply("one", json!({"open": {"a": {"b": 1}}})).unwrap();
    assert_eq!(w.spec(), json!({"open": {"a": {"b": 1, "c": 2}}}));
    w.apply(
        "one",
        json!({"open": {"a.b/c": 1, "with space": {"x": 2}, "": 3}}),
    )
    .unwrap();
    assert_eq!(
        w.spec(),
        json!({"open": {"": 3, "a": {"c": 2}, "a.b/c": 1, "with space": {"x": 2}}})
    );
    assert_eq!(
        w.owners()[1],
        r#"one Apply {"f:spec":{"f:open":{"f:":{},"f:a.b/c":{},"f:with space":{".":{},"f:x":{}}}}}"#
    );
}

#[test]
fn an_invalid_configuration_is_refused_with_its_path() {
    for (spec, violation) in [
        (
            json!({"zzz": "y"}),
            ".spec.zzz: field not declared in schema",
        ),
        (
            json!({"set": {"x": "y"}}),
            r#".spec.set: expected list, got {"x":"y"}"#,
        ),
        (
            json!({"obj": ["x"]}),
            r#".spec.obj: expected map, got ["x"]"#,
        ),
        (
            json!({"n": "text"}),
            r#".spec.n: expected numeric (int or float), got "text""#,
        ),
        (json!({"flag": 1}), ".spec.flag: expected boolean, got 1"),
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
            r#".spec.list[name="x"].extra.k: expected string, got 5"#,
        ),
    ] {
        let mut w = TrackedObject::new();
        let error = w.apply("m", spec).unwrap_err();
        assert_eq!(error.code(), 500);
        assert_eq!(
            error.to_string(),
            format!("failed to create typed patch object (/a; {V1}, Kind=Widget): {violation}")
        );
    }
}

#[test]
fn managed_fields_are_not_to_be_applied() {
    let mut w = TrackedObject::new();
    for managed in [json!([]), json!([{"manager": "x"}])] {
        let error = w
            .apply_with("m", json!({"metadata": {"managedFields": managed}}), false)
            .unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (400, "metadata.managedFields must be nil")
        );
    }
    w.apply_with(
        "m",
        json!({"metadata": {"managedFields": null}, "spec": {"a": "1"}}),
        false,
    )
    .unwrap();
    assert_eq!(w.owners(), [r#"m Apply {"f:spec":{"f:a":{}}}"#]);
}

#[test]
fn metadata_is_tracked_but_for_identity() {
    let mut w = TrackedObject::new();
    w.apply_with(
        "m",
        json!({"metadata": {
            "namespace": "ns", "uid": "u", "resourceVersion": "1", "creationTimestamp": null, "generation": 1, "generateName": "g-",
            "labels": {"l": "1"}, "annotations": {}, "finalizers": ["x/one"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u1"}]}}),
        false,
    )
    .unwrap();
    assert_eq!(
        w.owners(),
        [concat!(
            r#"m Apply {"f:metadata":{"f:annotations":{},"f:finalizers":{"v:\"x/one\"":{}},"f:generateName":{},"f:labels":{"f:l":{}},"#,
            r#""f:ownerReferences":{"k:{\"uid\":\"u1\"}":{}}}}"#
        )]
    );
    let mut nothing = TrackedObject::new();
    nothing.apply_with("m", json!({}), false).unwrap();
    assert!(
        nothing.owners().is_empty(),
        "an object that says nothing is owned by nobody"
    );
}

#[test]
fn reset_fields_are_neither_changed_nor_owned() {
    let mut w = TrackedObject::new();
    w.reset_fields = reset_fields(None, true);
    w.apply_with(
        "main",
        json!({"spec": {"a": "1"}, "status": {"phase": "x"}}),
        false,
    )
    .unwrap();
    assert_eq!(w.owners(), [r#"main Apply {"f:spec":{"f:a":{}}}"#]);
    w.live
        .as_mut()
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("status");

    w.subresource = Some("status");
    w.reset_fields = reset_fields(Some("status"), true);
    w.apply_with(
        "main",
        json!({"spec": {"a": "other"}, "status": {"conditions": [{"type": "Ready"}]}}),
        false,
    )
    .unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"main Apply {"f:spec":{"f:a":{}}}"#,
            r#"main Apply/status {"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:type":{}}}}}"#
        ],
        "the spec is another subresource's, so nothing conflicts"
    );
    let (causes, message) = expect_conflicts(
        w.apply_with(
            "other",
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "phase": "y"}}),
            false,
        )
        .and_then(|()| {
            w.apply_with(
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
fn an_applier_has_one_entry_whatever_the_version() {
    let types = ObjectType::from_openapi(&schema());
    let object = |version: &str, spec: Value| json!({"apiVersion": version, "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
    let at = |version: &'static str, manager: &'static str| TrackingRequest {
        manager,
        api_version: version,
        subresource: None,
        now: "2026-01-01T00:00:00Z",
        object_type: &types,
        versions: &[],
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

    // A version that is served no more owns nothing.
    let served = [("g/v2", &types)];
    let gone = TrackingRequest {
        versions: &served,
        ..at("g/v2", "three")
    };
    let three = apply(Some(&two), &object("g/v2", json!({"a": "9"})), false, &gone).unwrap();
    let names: Vec<String> = managers(&three).into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["three", "two"]);
}

#[test]
fn a_field_that_became_atomic_is_owned_as_a_whole() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"obj": {"x": "1"}})).unwrap();
    w.apply("two", json!({"obj": {"y": "2"}})).unwrap();
    let mut atomic = schema();
    atomic["properties"]["spec"]["properties"]["obj"]["x-kubernetes-map-type"] = json!("atomic");
    w.object_type = ObjectType::from_openapi(&atomic);
    assert_eq!(
        w.conflict("two", json!({"obj": {"y": "3"}})).0,
        ["one: .spec.obj"]
    );
    w.force_apply("two", json!({"obj": {"y": "3"}}));
    assert_eq!(w.spec(), json!({"obj": {"y": "3"}}));
    assert_eq!(w.owners(), [r#"two Apply {"f:spec":{"f:obj":{}}}"#]);
}

#[test]
fn paths_print_as_in_messages() {
    assert_eq!(
        FieldPath::of(&["spec", "replicas"]).to_string(),
        ".spec.replicas"
    );
    assert_eq!(FieldPath::default().to_string(), "");
}
