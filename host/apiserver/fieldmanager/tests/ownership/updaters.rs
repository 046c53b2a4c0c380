//! Writes that are not applies, alone and together with applies.

use serde_json::{Value, json};

use crate::tracked_object::TrackedObject;

#[test]
fn an_update_owns_the_fields_that_it_changes() {
    let mut object = TrackedObject::config_map();
    object.update("c", |new| {
        new["metadata"]["labels"] = json!({"x": "y"});
        new["metadata"]["annotations"] = json!({"p": "q"});
        new["data"] = json!({"k": "1"});
    });
    assert_eq!(
        object.owners(),
        [
            r#"c Update {"f:data":{".":{},"f:k":{}},"f:metadata":{"f:annotations":{".":{},"f:p":{}},"f:labels":{".":{},"f:x":{}}}}"#
        ]
    );
    let replace = |object: &mut TrackedObject, data: Value| {
        object.update("u", |new| {
            let uid = new["metadata"]["uid"].clone();
            new["metadata"] = json!({"name": "a", "uid": uid});
            new["data"] = data;
        });
    };
    replace(&mut object, json!({"k": "1", "j": "2"}));
    assert_eq!(
        object.owners(),
        [
            r#"c Update {"f:data":{".":{},"f:k":{}}}"#,
            r#"u Update {"f:data":{"f:j":{}}}"#
        ],
        "fields that were removed have no owner"
    );
    replace(&mut object, json!({"j": "2"}));
    assert_eq!(object.owners()[0], r#"c Update {"f:data":{}}"#);
    object.update("st", |new| {
        new["data"]["s"] = json!("1");
        new["metadata"]["labels"] = json!({"l": "m"});
    });
    assert_eq!(
        object.owners()[2],
        r#"st Update {"f:data":{"f:s":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#
    );
    replace(&mut object, json!({"j": "3"}));
    assert_eq!(
        object.owners(),
        [
            r#"c Update {"f:data":{}}"#,
            r#"u Update {"f:data":{"f:j":{}}}"#
        ]
    );
    assert_eq!(object.time_of("u"), Some(object.time()));
}

#[test]
fn an_update_without_changes_leaves_managed_fields_alone() {
    let mut object = TrackedObject::new();
    object.update("c", |new| new["spec"] = json!({"a": "1", "n": 1}));
    let before = object.live().clone();
    object.update("d", |new| new["spec"]["n"] = json!(1));
    assert_eq!(*object.live(), before);
    // 1 and 1.0 are the same number.
    object.update("d", |new| new["spec"]["n"] = json!(1.0));
    assert_eq!(
        object.owners(),
        [r#"c Update {"f:spec":{".":{},"f:a":{},"f:n":{}}}"#]
    );
    // The manager keeps its fields, and a change updates its time.
    object.update("c", |new| new["spec"]["a"] = json!("2"));
    assert_eq!(object.owners().len(), 1);
    assert_eq!(object.time_of("c"), Some(object.time()));
}

#[test]
fn cleared_managed_fields_return_with_the_next_apply() {
    let mut object = TrackedObject::config_map();
    object.update("c", |new| new["data"] = json!({"j": "3"}));
    for reset in [json!([{}]), json!([])] {
        let live = object.live.clone();
        let mut object = TrackedObject::config_map();
        object.live = live;
        object.update("u", |new| new["metadata"]["managedFields"] = reset);
        assert!(object.owners().is_empty());
        // A later update does not bring them back.
        object.update("u", |new| new["data"]["k"] = json!("4"));
        assert!(object.owners().is_empty());
    }
    object.update("u", |new| new["metadata"]["managedFields"] = json!([{}]));
    object
        .apply_with("ap", json!({"data": {"j": "3", "new": "1"}}), false)
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"ap Apply {"f:data":{"f:j":{},"f:new":{}}}"#,
            r#"before-first-apply Update {"f:data":{".":{},"f:j":{}}}"#
        ]
    );
    let error = object
        .apply_with("ap", json!({"data": {"j": "4"}}), false)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.j"#
    );
}

#[test]
fn managed_fields_from_a_client_are_used_if_they_can_be_parsed() {
    let mut object = TrackedObject::config_map();
    object.update("c", |new| new["data"] = json!({"j": "3"}));
    let before = object.owners();
    let entry = |fields: Value| {
        json!([{"manager": "made-up", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2020-01-01T01:00:00.5+01:00", "fieldsV1": fields}])
    };
    let valid = entry(json!({"f:data": {"f:j": {}}}));
    let without = |name: &str| {
        let mut invalid = valid.clone();
        invalid[0].as_object_mut().unwrap().remove(name);
        invalid
    };
    for invalid in [
        entry(json!({"nonsense": 5})),
        entry(json!({"f:data": 5})),
        entry(json!({"k:[]": {}})),
        without("operation"),
        without("apiVersion"),
        without("fieldsType"),
        Value::Null,
        json!("text"),
        json!([5]),
    ] {
        object.update("u", |new| {
            new["metadata"]["managedFields"] = invalid.clone()
        });
        assert_eq!(object.owners(), before, "{invalid}");
    }
    object.update("u", |new| new["metadata"]["managedFields"] = valid.clone());
    assert_eq!(object.owners(), [r#"made-up Update {"f:data":{"f:j":{}}}"#]);
    assert_eq!(object.time_of("made-up").unwrap(), "2020-01-01T00:00:00Z");
    // A write to a subresource cannot change them.
    object.subresource = Some("status");
    object.update("u", |new| new["metadata"]["managedFields"] = json!([{}]));
    assert_eq!(object.owners().len(), 1);
}

#[test]
fn updaters_and_appliers_take_fields_from_each_other() {
    let mut object = TrackedObject::new();
    object
        .apply(
            "ap",
            json!({"a": "1", "set": ["x"], "list": [{"name": "i", "value": "1"}]}),
        )
        .unwrap();
    object.update("u", |new| {
        new["spec"]["a"] = json!("2");
        new["spec"]["set"] = json!(["x", "y"]);
        new["spec"]["list"][0]["value"] = json!("2");
    });
    assert_eq!(
        object.owners(),
        [
            r#"ap Apply {"f:spec":{"f:list":{"k:{\"name\":\"i\"}":{".":{},"f:name":{}}},"f:set":{"v:\"x\"":{}}}}"#,
            r#"u Update {"f:spec":{"f:a":{},"f:list":{"k:{\"name\":\"i\"}":{"f:value":{}}},"f:set":{"v:\"y\"":{}}}}"#
        ]
    );
    let (causes, message) = object.expect_conflict(
        "ap",
        json!({"a": "1", "set": ["x"], "list": [{"name": "i", "value": "1"}]}),
    );
    assert_eq!(causes, ["u: .spec.a", r#"u: .spec.list[name="i"].value"#]);
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"u\" using example.com/v1:\n- .spec.a\n- .spec.list[name=\"i\"].value"
    );
    // A field that an updater owns is not removed, but the list item is, because only the applier owns
    // it.
    object.apply("ap", json!({})).unwrap();
    assert_eq!(object.spec(), json!({"a": "2", "set": ["y"], "list": []}));
}

#[test]
fn status_updates_have_a_separate_entry() {
    let mut object = TrackedObject::new();
    object.reset_fields = rdd_apiserver_fieldmanager::reset_fields(None, true);
    object.update("c", |new| {
        new["spec"] = json!({"a": "1"});
        new["status"] = json!({"phase": "ignored"});
    });
    assert_eq!(
        object.owners(),
        [r#"c Update {"f:spec":{".":{},"f:a":{}}}"#]
    );
    object
        .live
        .as_mut()
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("status");
    object.subresource = Some("status");
    object.reset_fields = rdd_apiserver_fieldmanager::reset_fields(object.subresource, true);
    object.update("c", |new| {
        new["spec"]["a"] = json!("ignored");
        new["metadata"]["labels"] = json!({"ignored": "true"});
        new["status"] = json!({"phase": "set"});
    });
    assert_eq!(
        object.owners(),
        [
            r#"c Update {"f:spec":{".":{},"f:a":{}}}"#,
            r#"c Update/status {"f:status":{".":{},"f:phase":{}}}"#
        ]
    );
}

#[test]
fn entries_of_old_updaters_are_merged() {
    let mut object = TrackedObject::new();
    object.apply("applier", json!({"a": "1"})).unwrap();
    for i in 0..14 {
        object.update(&format!("u{i:02}"), |new| {
            new["spec"]["map"][format!("k{i:02}")] = json!("v")
        });
    }
    let owners = object.owners();
    assert_eq!(owners.len(), 11, "{owners:?}");
    assert!(owners[0].starts_with("applier Apply"));
    assert_eq!(
        owners[1],
        r#"ancient-changes Update {"f:spec":{"f:map":{".":{},"f:k00":{},"f:k01":{},"f:k02":{},"f:k03":{},"f:k04":{}}}}"#
    );
    assert!(owners[2].starts_with("u05 "));
    assert_eq!(
        object.time_of("ancient-changes").unwrap(),
        "2026-01-01T00:00:06Z",
        "the time of the newest merged entry"
    );
}

#[test]
fn a_change_between_scalar_list_and_map_changes_the_owner() {
    let mut object = TrackedObject::new();
    object
        .apply("ap", json!({"open": {"a": {"b": 1}}}))
        .unwrap();
    object.update("u", |new| new["spec"]["open"]["a"] = json!([1]));
    assert_eq!(
        object.owners(),
        [r#"u Update {"f:spec":{"f:open":{"f:a":{}}}}"#]
    );
    object.update("v", |new| new["spec"]["open"]["a"] = json!({"c": 1}));
    assert_eq!(
        object.owners(),
        [r#"v Update {"f:spec":{"f:open":{"f:a":{".":{},"f:c":{}}}}}"#]
    );
}
