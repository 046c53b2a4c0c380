//! Writes that are no applies, and appliers beside them.

use serde_json::{Value, json};

use crate::tracked_object::TrackedObject;

#[test]
fn an_update_takes_what_it_changes() {
    let mut w = TrackedObject::config_map();
    w.update("c", |new| {
        new["metadata"]["labels"] = json!({"x": "y"});
        new["metadata"]["annotations"] = json!({"p": "q"});
        new["data"] = json!({"k": "1"});
    });
    assert_eq!(
        w.owners(),
        [
            r#"c Update {"f:data":{".":{},"f:k":{}},"f:metadata":{"f:annotations":{".":{},"f:p":{}},"f:labels":{".":{},"f:x":{}}}}"#
        ]
    );
    let replace = |w: &mut TrackedObject, data: Value| {
        w.update("u", |new| {
            let uid = new["metadata"]["uid"].clone();
            new["metadata"] = json!({"name": "a", "uid": uid});
            new["data"] = data;
        });
    };
    replace(&mut w, json!({"k": "1", "j": "2"}));
    assert_eq!(
        w.owners(),
        [
            r#"c Update {"f:data":{".":{},"f:k":{}}}"#,
            r#"u Update {"f:data":{"f:j":{}}}"#
        ],
        "what nobody sent any more belongs to nobody"
    );
    replace(&mut w, json!({"j": "2"}));
    assert_eq!(w.owners()[0], r#"c Update {"f:data":{}}"#);
    w.update("st", |new| {
        new["data"]["s"] = json!("1");
        new["metadata"]["labels"] = json!({"l": "m"});
    });
    assert_eq!(
        w.owners()[2],
        r#"st Update {"f:data":{"f:s":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#
    );
    replace(&mut w, json!({"j": "3"}));
    assert_eq!(
        w.owners(),
        [
            r#"c Update {"f:data":{}}"#,
            r#"u Update {"f:data":{"f:j":{}}}"#
        ]
    );
    assert_eq!(w.time_of("u"), Some(w.time()));
}

#[test]
fn an_update_that_changes_nothing_changes_nothing() {
    let mut w = TrackedObject::new();
    w.update("c", |new| new["spec"] = json!({"a": "1", "n": 1}));
    let before = w.live().clone();
    w.update("d", |new| new["spec"]["n"] = json!(1));
    assert_eq!(*w.live(), before);
    // The same number in another notation is the same number.
    w.update("d", |new| new["spec"]["n"] = json!(1.0));
    assert_eq!(
        w.owners(),
        [r#"c Update {"f:spec":{".":{},"f:a":{},"f:n":{}}}"#]
    );
    // What the manager owns already stays its own, and its time moves with a change.
    w.update("c", |new| new["spec"]["a"] = json!("2"));
    assert_eq!(w.owners().len(), 1);
    assert_eq!(w.time_of("c"), Some(w.time()));
}

#[test]
fn managed_fields_can_be_cleared_and_come_back_with_an_apply() {
    let mut w = TrackedObject::config_map();
    w.update("c", |new| new["data"] = json!({"j": "3"}));
    for reset in [json!([{}]), json!([])] {
        let live = w.live.clone();
        let mut w = TrackedObject::config_map();
        w.live = live;
        w.update("u", |new| new["metadata"]["managedFields"] = reset);
        assert!(w.owners().is_empty());
        // Nor does a later write bring them back.
        w.update("u", |new| new["data"]["k"] = json!("4"));
        assert!(w.owners().is_empty());
    }
    w.update("u", |new| new["metadata"]["managedFields"] = json!([{}]));
    w.apply_with("ap", json!({"data": {"j": "3", "new": "1"}}), false)
        .unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"ap Apply {"f:data":{"f:j":{},"f:new":{}}}"#,
            r#"before-first-apply Update {"f:data":{".":{},"f:j":{}}}"#
        ]
    );
    let error = w
        .apply_with("ap", json!({"data": {"j": "4"}}), false)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.j"#
    );
}

#[test]
fn managed_fields_that_a_client_sends_count_if_they_can_be_read() {
    let mut w = TrackedObject::config_map();
    w.update("c", |new| new["data"] = json!({"j": "3"}));
    let own = w.owners();
    let entry = |fields: Value| {
        json!([{"manager": "made-up", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2020-01-01T01:00:00.5+01:00", "fieldsV1": fields}])
    };
    let good = entry(json!({"f:data": {"f:j": {}}}));
    let without = |name: &str| {
        let mut bad = good.clone();
        bad[0].as_object_mut().unwrap().remove(name);
        bad
    };
    for bad in [
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
        w.update("u", |new| new["metadata"]["managedFields"] = bad.clone());
        assert_eq!(w.owners(), own, "{bad}");
    }
    w.update("u", |new| new["metadata"]["managedFields"] = good.clone());
    assert_eq!(w.owners(), [r#"made-up Update {"f:data":{"f:j":{}}}"#]);
    assert_eq!(w.time_of("made-up").unwrap(), "2020-01-01T00:00:00Z");
    // A subresource does not change them.
    w.subresource = Some("status");
    w.update("u", |new| new["metadata"]["managedFields"] = json!([{}]));
    assert_eq!(w.owners().len(), 1);
}

#[test]
fn updaters_and_appliers_take_from_each_other() {
    let mut w = TrackedObject::new();
    w.apply(
        "ap",
        json!({"a": "1", "set": ["x"], "list": [{"name": "i", "value": "1"}]}),
    )
    .unwrap();
    w.update("u", |new| {
        new["spec"]["a"] = json!("2");
        new["spec"]["set"] = json!(["x", "y"]);
        new["spec"]["list"][0]["value"] = json!("2");
    });
    assert_eq!(
        w.owners(),
        [
            r#"ap Apply {"f:spec":{"f:list":{"k:{\"name\":\"i\"}":{".":{},"f:name":{}}},"f:set":{"v:\"x\"":{}}}}"#,
            r#"u Update {"f:spec":{"f:a":{},"f:list":{"k:{\"name\":\"i\"}":{"f:value":{}}},"f:set":{"v:\"y\"":{}}}}"#
        ]
    );
    let (causes, message) = w.expect_conflict(
        "ap",
        json!({"a": "1", "set": ["x"], "list": [{"name": "i", "value": "1"}]}),
    );
    assert_eq!(causes, ["u: .spec.a", r#"u: .spec.list[name="i"].value"#]);
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"u\" using example.com/v1:\n- .spec.a\n- .spec.list[name=\"i\"].value"
    );
    // Giving up what an updater owns does not remove it; but the item of the list is the applier's, whatever is in it.
    w.apply("ap", json!({})).unwrap();
    assert_eq!(w.spec(), json!({"a": "2", "set": ["y"], "list": []}));
}

#[test]
fn status_updates_have_an_entry_of_their_own() {
    let mut w = TrackedObject::new();
    w.reset_fields = rdd_apiserver_fieldmanager::reset_fields(None, true);
    w.update("c", |new| {
        new["spec"] = json!({"a": "1"});
        new["status"] = json!({"phase": "ignored"});
    });
    assert_eq!(w.owners(), [r#"c Update {"f:spec":{".":{},"f:a":{}}}"#]);
    w.live
        .as_mut()
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("status");
    w.subresource = Some("status");
    w.reset_fields = rdd_apiserver_fieldmanager::reset_fields(w.subresource, true);
    w.update("c", |new| {
        new["spec"]["a"] = json!("not to be");
        new["metadata"]["labels"] = json!({"not": "to be"});
        new["status"] = json!({"phase": "set"});
    });
    assert_eq!(
        w.owners(),
        [
            r#"c Update {"f:spec":{".":{},"f:a":{}}}"#,
            r#"c Update/status {"f:status":{".":{},"f:phase":{}}}"#
        ]
    );
}

#[test]
fn old_updaters_are_put_together() {
    let mut w = TrackedObject::new();
    w.apply("applier", json!({"a": "1"})).unwrap();
    for i in 0..14 {
        w.update(&format!("u{i:02}"), |new| {
            new["spec"]["map"][format!("k{i:02}")] = json!("v")
        });
    }
    let owners = w.owners();
    assert_eq!(owners.len(), 11, "{owners:?}");
    assert!(owners[0].starts_with("applier Apply"));
    assert_eq!(
        owners[1],
        r#"ancient-changes Update {"f:spec":{"f:map":{".":{},"f:k00":{},"f:k01":{},"f:k02":{},"f:k03":{},"f:k04":{}}}}"#
    );
    assert!(owners[2].starts_with("u05 "));
    assert_eq!(
        w.time_of("ancient-changes").unwrap(),
        "2026-01-01T00:00:06Z",
        "that of the newest in it"
    );
}

#[test]
fn a_change_of_form_is_a_change_of_the_field() {
    let mut w = TrackedObject::new();
    w.apply("ap", json!({"open": {"a": {"b": 1}}})).unwrap();
    w.update("u", |new| new["spec"]["open"]["a"] = json!([1]));
    assert_eq!(w.owners(), [r#"u Update {"f:spec":{"f:open":{"f:a":{}}}}"#]);
    w.update("v", |new| new["spec"]["open"]["a"] = json!({"c": 1}));
    assert_eq!(
        w.owners(),
        [r#"v Update {"f:spec":{"f:open":{"f:a":{".":{},"f:c":{}}}}}"#]
    );
}
