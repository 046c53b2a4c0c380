//! JSON patches and merge patches. The expected results are those of kube-apiserver 1.35.
#![allow(clippy::unwrap_used, reason = "a failed test helper fails the test")]

use rdd_apiserver_fieldmanager::{PatchError, json_patch, merge_patch};
use serde_json::{Value, json};

fn document() -> Value {
    json!({"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"example.com/a": "b"}}, "data": {"k": "1", "j": "2"}, "list": [1, 2]})
}

/// Returns the document's data and list after the operations, or the status code of the error.
fn patched(operations: Value) -> Result<(Value, Value), u16> {
    match json_patch(&document(), &operations) {
        Ok(out) => Ok((out["data"].clone(), out["list"].clone())),
        Err(error) => Err(error.code()),
    }
}

#[test]
fn operations_change_the_document() {
    for (operation, data) in [
        (
            json!({"op": "add", "path": "/data/new", "value": "n"}),
            json!({"k": "1", "j": "2", "new": "n"}),
        ),
        (
            json!({"op": "replace", "path": "/data/k", "value": "r"}),
            json!({"k": "r", "j": "2"}),
        ),
        (
            json!({"op": "remove", "path": "/data/j"}),
            json!({"k": "1"}),
        ),
        (
            json!({"op": "move", "from": "/data/k", "path": "/data/m"}),
            json!({"j": "2", "m": "1"}),
        ),
        (
            json!({"op": "copy", "from": "/data/k", "path": "/data/c"}),
            json!({"k": "1", "j": "2", "c": "1"}),
        ),
        (
            json!({"op": "test", "path": "/data/k", "value": "1"}),
            json!({"k": "1", "j": "2"}),
        ),
        // Where Kubernetes deviates from the RFC.
        (
            json!({"op": "replace", "path": "/data/none", "value": "x"}),
            json!({"k": "1", "j": "2", "none": "x"}),
        ),
        (
            json!({"op": "test", "path": "/data/none", "value": null}),
            json!({"k": "1", "j": "2"}),
        ),
        (
            json!({"op": "test", "path": "/data/none"}),
            json!({"k": "1", "j": "2"}),
        ),
        (
            json!({"op": "add", "path": "/data/q"}),
            json!({"k": "1", "j": "2", "q": null}),
        ),
        (
            json!({"op": "copy", "from": "/data/none", "path": "/data/q"}),
            json!({"k": "1", "j": "2", "q": null}),
        ),
        (
            json!({"op": "replace", "path": "data/k", "value": "x"}),
            json!({"k": "1", "j": "2"}),
        ),
    ] {
        assert_eq!(
            patched(json!([operation])),
            Ok((data, json!([1, 2]))),
            "{operation}"
        );
    }
    for (operation, list) in [
        (
            json!({"op": "add", "path": "/list/-", "value": 3}),
            json!([1, 2, 3]),
        ),
        (
            json!({"op": "add", "path": "/list/0", "value": 3}),
            json!([3, 1, 2]),
        ),
        (json!({"op": "remove", "path": "/list/0"}), json!([2])),
    ] {
        assert_eq!(
            patched(json!([operation])),
            Ok((document()["data"].clone(), list)),
            "{operation}"
        );
    }
    let escaped = json_patch(
        &document(),
        &json!([{"op": "replace", "path": "/metadata/annotations/example.com~1a", "value": "c"}]),
    );
    assert_eq!(
        escaped.unwrap()["metadata"]["annotations"]["example.com/a"],
        "c"
    );
    let whole = json_patch(
        &document(),
        &json!([{"op": "replace", "path": "", "value": {"data": {}}}]),
    );
    assert_eq!(whole, Ok(json!({"data": {}})));
    assert_eq!(json_patch(&document(), &json!([])), Ok(document()));
}

#[test]
fn invalid_operations_are_rejected() {
    for (operations, code) in [
        (
            json!([{"op": "test", "path": "/data/k", "value": "zzz"}]),
            422,
        ),
        (
            json!([{"op": "test", "path": "/data/none", "value": "x"}]),
            422,
        ),
        (json!([{"op": "remove", "path": "/data/none"}]), 422),
        (
            json!([{"op": "move", "from": "/data/none", "path": "/data/x"}]),
            422,
        ),
        (
            json!([{"op": "replace", "path": "/nope/none", "value": "x"}]),
            422,
        ),
        (
            json!([{"op": "add", "path": "/nope/none", "value": "x"}]),
            422,
        ),
        (
            json!([{"op": "copy", "from": "/nope/none", "path": "/data/x"}]),
            422,
        ),
        (json!([{"op": "copy", "path": "/data/x"}]), 422),
        (
            json!([{"op": "move", "from": "/data", "path": "/data/x"}]),
            422,
        ),
        (json!([{"op": "add", "path": "/list/7", "value": 3}]), 422),
        (json!([{"op": "add", "path": "word", "value": 3}]), 422),
        (json!([{"op": "add", "path": "/data/~2", "value": 3}]), 422),
        (
            json!([{"op": "frobnicate", "path": "/data/k", "value": "x"}]),
            422,
        ),
        (json!([{"path": "/data/k", "value": "x"}]), 422),
        (json!([{"op": "add", "value": "x"}]), 422),
        (json!([{"op": "add", "path": 5, "value": "x"}]), 400),
        (
            json!([{"op": "remove", "path": "/data/k"}, {"op": "test", "path": "/data/j", "value": "zzz"}]),
            422,
        ),
        (json!({"op": "add", "path": "/data/q", "value": "x"}), 400),
        (json!(["x"]), 400),
        (
            json!(vec![
                json!({"op": "test", "path": "/kind", "value": "ConfigMap"});
                10_001
            ]),
            413,
        ),
    ] {
        let excerpt: String = operations.to_string().chars().take(100).collect();
        assert_eq!(patched(operations), Err(code), "{excerpt}");
    }
    let at_limit = json!(vec![
        json!({"op": "test", "path": "/kind", "value": "ConfigMap"});
        10_000
    ]);
    assert_eq!(json_patch(&document(), &at_limit), Ok(document()));
}

#[test]
fn the_growth_of_a_document_is_limited() {
    let double = json!({"op": "copy", "from": "/data", "path": "/data/x"});
    let error = json_patch(&document(), &json!(vec![double; 10_000])).unwrap_err();
    assert_eq!(error.code(), 422);
    assert!(
        matches!(error, PatchError::Failed { index: 1..100, .. }),
        "{error}"
    );

    let text = "x".repeat(100_000);
    let mut operations = vec![json!({"op": "add", "path": "/data/k", "value": text})];
    operations.extend(
        (0..1000).map(|i| json!({"op": "copy", "from": "/data/k", "path": format!("/data/c{i}")})),
    );
    let error = json_patch(&document(), &json!(operations)).unwrap_err();
    assert!(
        matches!(error, PatchError::Failed { index: 32, .. }),
        "{error}"
    );

    let deeper =
        json!({"op": "move", "from": "/data/k", "path": format!("/data{}", "/k".repeat(200))});
    assert_eq!(
        json_patch(&document(), &json!([deeper]))
            .unwrap_err()
            .code(),
        422
    );
}

#[test]
fn the_total_size_of_all_moves_is_limited() {
    let document = json!({"data": {"a": vec![0; 2_000]}});
    let forth = json!({"op": "move", "from": "/data/a", "path": "/data/b"});
    let back = json!({"op": "move", "from": "/data/b", "path": "/data/a"});
    let moves = |times: usize| json!(vec![[&forth, &back]; times].concat());
    assert_eq!(json_patch(&document, &moves(200)), Ok(document.clone()));
    let error = json_patch(&document, &moves(1_000)).unwrap_err();
    assert_eq!(error.code(), 422);
    assert!(
        error.to_string().contains("moves more than 1000000 values"),
        "{error}"
    );
}

#[test]
fn a_merge_patch_is_merged_into_the_document() {
    for (patch, data) in [
        (json!({}), json!({"k": "1", "j": "2"})),
        (json!({"data": {"k": "1"}}), json!({"k": "1", "j": "2"})),
        (
            json!({"data": {"n": "3"}}),
            json!({"k": "1", "j": "2", "n": "3"}),
        ),
        (
            json!({"data": {"j": null, "none": null}}),
            json!({"k": "1"}),
        ),
        (json!({"data": null}), Value::Null),
        (json!({"data": {}}), json!({"k": "1", "j": "2"})),
        (json!({"data": [1]}), json!([1])),
        (
            json!({"data": {"k": {"a": 1, "b": null}}}),
            json!({"k": {"a": 1}, "j": "2"}),
        ),
    ] {
        assert_eq!(
            merge_patch(&document(), &patch).unwrap()["data"],
            data,
            "{patch}"
        );
    }
    for patch in [json!([1]), json!("x"), json!(null), json!(5)] {
        assert_eq!(
            merge_patch(&document(), &patch).unwrap_err().code(),
            400,
            "{patch}"
        );
    }
}
