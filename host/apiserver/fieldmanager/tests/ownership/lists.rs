//! Lists: atomic, set and map; their order, their keys, their duplicates.

use serde_json::{Value, json};

use crate::tracked_object::TrackedObject;

#[test]
fn list_keys_have_defaults() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"two": [{"name": "x", "value": "1"}]}))
        .unwrap();
    w.live.as_mut().unwrap()["spec"]["two"][0]["proto"] = json!("TCP");
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:spec":{"f:two":{"k:{\"name\":\"x\",\"proto\":\"TCP\"}":{".":{},"f:name":{},"f:value":{}}}}}"#
        ]
    );
    let (causes, _) = w.expect_conflict(
        "two",
        json!({"two": [{"name": "x", "proto": "TCP", "value": "2"}]}),
    );
    assert_eq!(causes, [r#"one: .spec.two[name="x",proto="TCP"].value"#]);
    w.apply(
        "two",
        json!({"two": [{"name": "x", "proto": "UDP", "value": "2"}]}),
    )
    .unwrap();
    w.apply(
        "one",
        json!({"two": [{"name": "x", "value": "1"}, {"name": "x", "proto": "UDP"}]}),
    )
    .unwrap();
    assert_eq!(
        w.owners()[0],
        concat!(
            r#"one Apply {"f:spec":{"f:two":{"k:{\"name\":\"x\",\"proto\":\"TCP\"}":{".":{},"f:name":{},"f:value":{}},"#,
            r#""k:{\"name\":\"x\",\"proto\":\"UDP\"}":{".":{},"f:name":{},"f:proto":{}}}}}"#
        )
    );
    w.apply("one", json!({})).unwrap();
    assert_eq!(
        w.spec(),
        json!({"two": [{"name": "x", "proto": "UDP", "value": "2"}]})
    );
}

#[test]
fn a_merged_list_has_shared_items_in_applied_order() {
    for (own, theirs, merged) in [
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
        let mut w = TrackedObject::new();
        w.apply("one", json!({"set": list(own), "list": items(own)}))
            .unwrap();
        w.apply("two", json!({"set": list(theirs), "list": items(theirs)}))
            .unwrap();
        assert_eq!(w.spec()["set"], json!(list(merged)), "{own} + {theirs}");
        assert_eq!(w.spec()["list"], items(merged), "{own} + {theirs}");
    }
}

#[test]
fn items_of_a_set_are_owned_one_by_one() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"set": ["a", "b"], "numset": [1, 2]}))
        .unwrap();
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:spec":{"f:numset":{"v:1":{},"v:2":{}},"f:set":{"v:\"a\"":{},"v:\"b\"":{}}}}"#
        ]
    );
    w.apply("two", json!({"set": ["b", "c"]})).unwrap();
    w.apply("one", json!({"set": ["a"]})).unwrap();
    assert_eq!(
        w.spec(),
        json!({"set": ["a", "b", "c"]}),
        "two still wants b; nobody wants a numset"
    );
}

#[test]
fn items_of_a_map_list_are_merged_and_owned_by_field() {
    let mut w = TrackedObject::new();
    w.apply(
        "one",
        json!({"list": [{"name": "x", "value": "1"}, {"name": "y"}]}),
    )
    .unwrap();
    w.apply("two", json!({"list": [{"name": "x", "extra": {"k": "v"}}]}))
        .unwrap();
    assert_eq!(
        w.spec()["list"],
        json!([{"name": "x", "value": "1", "extra": {"k": "v"}}, {"name": "y"}])
    );
    w.apply("one", json!({"list": [{"name": "y"}]})).unwrap();
    assert_eq!(
        w.spec()["list"],
        json!([{"name": "x", "extra": {"k": "v"}}, {"name": "y"}]),
        "x is two's now"
    );
    w.apply("two", json!({})).unwrap();
    assert_eq!(w.spec()["list"], json!([{"name": "y"}]));
}

#[test]
fn atomic_lists_are_replaced() {
    let mut w = TrackedObject::new();
    w.apply("one", json!({"plain": ["a"], "atomic": ["a", "a"]}))
        .unwrap();
    assert_eq!(
        w.owners(),
        [r#"one Apply {"f:spec":{"f:atomic":{},"f:plain":{}}}"#]
    );
    assert_eq!(
        w.conflict("two", json!({"plain": ["a", "b"]})).0,
        ["one: .spec.plain"]
    );
    w.force_apply("two", json!({"plain": ["b"]}));
    assert_eq!(w.spec(), json!({"plain": ["b"], "atomic": ["a", "a"]}));
}

#[test]
fn duplicates_that_are_there_are_owned_together() {
    let mut w = TrackedObject::new();
    w.update("u", |new| new["spec"] = json!({"set": ["a", "a", "b"]}));
    assert_eq!(
        w.owners(),
        [r#"u Update {"f:spec":{".":{},"f:set":{".":{},"v:\"a\"":{},"v:\"b\"":{}}}}"#]
    );
    // Applying the item would make one of them.
    assert_eq!(
        w.conflict("one", json!({"set": ["a"]})).0,
        [r#"u: .spec.set[="a"]"#]
    );
    w.force_apply("one", json!({"set": ["a"]}));
    assert_eq!(w.spec()["set"], json!(["a", "b"]));
    assert_eq!(
        w.owners(),
        [
            r#"one Apply {"f:spec":{"f:set":{"v:\"a\"":{}}}}"#,
            r#"u Update {"f:spec":{".":{},"f:set":{".":{},"v:\"b\"":{}}}}"#
        ]
    );
}

#[test]
fn null_and_empty_are_told_apart() {
    let mut w = TrackedObject::new();
    w.apply(
        "one",
        json!({"nullable": null, "map": {}, "set": [], "list": null, "obj": {"x": null}}),
    )
    .unwrap();
    assert_eq!(
        w.spec(),
        json!({"nullable": null, "map": {}, "set": [], "list": null, "obj": {"x": null}})
    );
    assert_eq!(
        w.owners(),
        [r#"one Apply {"f:spec":{"f:list":{},"f:map":{},"f:nullable":{},"f:obj":{"f:x":{}}}}"#]
    );
    w.apply("two", json!({"map": {"k": "v"}})).unwrap();
    assert_eq!(
        w.spec()["map"],
        json!({"k": "v"}),
        "who applied an empty map allowed others to fill it"
    );
    assert_eq!(
        w.conflict("two", json!({"map": {"k": "v"}, "nullable": "x"}))
            .0,
        ["one: .spec.nullable"]
    );
}
