//! Atomic, set, and map lists: their order, their keys, and their duplicates.

use serde_json::{Value, json};

use crate::tracked_object::TrackedObject;

#[test]
fn the_default_of_a_list_key_identifies_items() {
    let mut object = TrackedObject::new();
    object
        .apply("one", json!({"two": [{"name": "x", "value": "1"}]}))
        .unwrap();
    object.live.as_mut().unwrap()["spec"]["two"][0]["proto"] = json!("TCP");
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:spec":{"f:two":{"k:{\"name\":\"x\",\"proto\":\"TCP\"}":{".":{},"f:name":{},"f:value":{}}}}}"#
        ]
    );
    let (causes, _) = object.expect_conflict(
        "two",
        json!({"two": [{"name": "x", "proto": "TCP", "value": "2"}]}),
    );
    assert_eq!(causes, [r#"one: .spec.two[name="x",proto="TCP"].value"#]);
    object
        .apply(
            "two",
            json!({"two": [{"name": "x", "proto": "UDP", "value": "2"}]}),
        )
        .unwrap();
    object
        .apply(
            "one",
            json!({"two": [{"name": "x", "value": "1"}, {"name": "x", "proto": "UDP"}]}),
        )
        .unwrap();
    assert_eq!(
        object.owners()[0],
        concat!(
            r#"one Apply {"f:spec":{"f:two":{"k:{\"name\":\"x\",\"proto\":\"TCP\"}":{".":{},"f:name":{},"f:value":{}},"#,
            r#""k:{\"name\":\"x\",\"proto\":\"UDP\"}":{".":{},"f:name":{},"f:proto":{}}}}}"#
        )
    );
    object.apply("one", json!({})).unwrap();
    assert_eq!(
        object.spec(),
        json!({"two": [{"name": "x", "proto": "UDP", "value": "2"}]})
    );
}

#[test]
fn a_merged_list_has_shared_items_in_applied_order() {
    for (live, applied, merged) in [
        ("a b c", "c a", "b c a"),
        ("a b c", "a x b", "a x b c"),
        ("a b c", "x", "a b c x"),
        ("a b c", "c x", "a b c x"),
        ("a b c d", "d b", "a c d b"),
        ("", "b a", "b a"),
        ("a b", "b a", "b a"),
        ("x a y b z", "b a", "x y b z a"),
    ] {
        let list =
            |names: &str| -> Vec<String> { names.split_whitespace().map(str::to_owned).collect() };
        let items = |names: &str| -> Value {
            list(names)
                .iter()
                .map(|name| json!({ "name": name }))
                .collect()
        };
        let mut object = TrackedObject::new();
        object
            .apply("one", json!({"set": list(live), "list": items(live)}))
            .unwrap();
        object
            .apply("two", json!({"set": list(applied), "list": items(applied)}))
            .unwrap();
        assert_eq!(
            object.spec()["set"],
            json!(list(merged)),
            "{live} + {applied}"
        );
        assert_eq!(object.spec()["list"], items(merged), "{live} + {applied}");
    }
}

#[test]
fn items_of_a_set_are_owned_separately() {
    let mut object = TrackedObject::new();
    object
        .apply("one", json!({"set": ["a", "b"], "numset": [1, 2]}))
        .unwrap();
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:spec":{"f:numset":{"v:1":{},"v:2":{}},"f:set":{"v:\"a\"":{},"v:\"b\"":{}}}}"#
        ]
    );
    object.apply("two", json!({"set": ["b", "c"]})).unwrap();
    object.apply("one", json!({"set": ["a"]})).unwrap();
    assert_eq!(
        object.spec(),
        json!({"set": ["a", "b", "c"]}),
        "two still applies b, and nobody applies numset"
    );
}

#[test]
fn items_of_a_map_list_are_merged_and_owned_by_field() {
    let mut object = TrackedObject::new();
    object
        .apply(
            "one",
            json!({"list": [{"name": "x", "value": "1"}, {"name": "y"}]}),
        )
        .unwrap();
    object
        .apply("two", json!({"list": [{"name": "x", "extra": {"k": "v"}}]}))
        .unwrap();
    assert_eq!(
        object.spec()["list"],
        json!([{"name": "x", "value": "1", "extra": {"k": "v"}}, {"name": "y"}])
    );
    object
        .apply("one", json!({"list": [{"name": "y"}]}))
        .unwrap();
    assert_eq!(
        object.spec()["list"],
        json!([{"name": "x", "extra": {"k": "v"}}, {"name": "y"}]),
        "two has become the only owner of x"
    );
    object.apply("two", json!({})).unwrap();
    assert_eq!(object.spec()["list"], json!([{"name": "y"}]));
}

#[test]
fn atomic_lists_are_replaced() {
    let mut object = TrackedObject::new();
    object
        .apply("one", json!({"plain": ["a"], "atomic": ["a", "a"]}))
        .unwrap();
    assert_eq!(
        object.owners(),
        [r#"one Apply {"f:spec":{"f:atomic":{},"f:plain":{}}}"#]
    );
    assert_eq!(
        object
            .expect_conflict("two", json!({"plain": ["a", "b"]}))
            .0,
        ["one: .spec.plain"]
    );
    object.force_apply("two", json!({"plain": ["b"]}));
    assert_eq!(object.spec(), json!({"plain": ["b"], "atomic": ["a", "a"]}));
}

#[test]
fn existing_duplicates_are_owned_together() {
    let mut object = TrackedObject::new();
    object.update("u", |new| new["spec"] = json!({"set": ["a", "a", "b"]}));
    assert_eq!(
        object.owners(),
        [r#"u Update {"f:spec":{".":{},"f:set":{".":{},"v:\"a\"":{},"v:\"b\"":{}}}}"#]
    );
    // Applying the item would replace both with one.
    assert_eq!(
        object.expect_conflict("one", json!({"set": ["a"]})).0,
        [r#"u: .spec.set[="a"]"#]
    );
    object.force_apply("one", json!({"set": ["a"]}));
    assert_eq!(object.spec()["set"], json!(["a", "b"]));
    assert_eq!(
        object.owners(),
        [
            r#"one Apply {"f:spec":{"f:set":{"v:\"a\"":{}}}}"#,
            r#"u Update {"f:spec":{".":{},"f:set":{".":{},"v:\"b\"":{}}}}"#
        ]
    );
}

#[test]
fn null_and_empty_are_distinguished() {
    let mut object = TrackedObject::new();
    object
        .apply(
            "one",
            json!({"nullable": null, "map": {}, "set": [], "list": null, "obj": {"x": null}}),
        )
        .unwrap();
    assert_eq!(
        object.spec(),
        json!({"nullable": null, "map": {}, "set": [], "list": null, "obj": {"x": null}})
    );
    assert_eq!(
        object.owners(),
        [r#"one Apply {"f:spec":{"f:list":{},"f:map":{},"f:nullable":{},"f:obj":{"f:x":{}}}}"#]
    );
    object.apply("two", json!({"map": {"k": "v"}})).unwrap();
    assert_eq!(
        object.spec()["map"],
        json!({"k": "v"}),
        "a manager that applies an empty map allows others to add keys"
    );
    assert_eq!(
        object
            .expect_conflict("two", json!({"map": {"k": "v"}, "nullable": "x"}))
            .0,
        ["one: .spec.nullable"]
    );
}
