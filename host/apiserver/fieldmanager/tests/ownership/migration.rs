//! kubectl's passage from client-side to server-side apply.

use serde_json::{Value, json};

use crate::tracked_object::{TrackedObject, expect_conflicts};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// As `kubectl apply` leaves an object: an updater's entry and the annotation.
fn applied_client_side(data: Value) -> TrackedObject {
    let mut w = TrackedObject::config_map();
    let last = json!({"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "a", "annotations": {}}, "data": data});
    w.update("kubectl-client-side-apply", |new| {
        new["data"] = data;
        new["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{last}\n"));
    });
    w
}

#[test]
fn kubectl_takes_over_what_it_applied_client_side() {
    let mut w = applied_client_side(json!({"k": "1", "j": "2"}));
    w.apply_with("kubectl", json!({"data": {"k": "9", "j": "2"}}), false)
        .unwrap();
    assert_eq!(w.live()["data"], json!({"k": "9", "j": "2"}));
    let last: Value = serde_json::from_str(
        w.live()["metadata"]["annotations"][LAST_APPLIED]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        last["data"],
        json!({"k": "9", "j": "2"}),
        "the annotation follows"
    );
    assert_eq!(last["metadata"], json!({"name": "a"}));
}

#[test]
fn what_somebody_else_changed_since_conflicts() {
    let mut w = applied_client_side(json!({"k": "1", "j": "2"}));
    w.update("other", |new| new["data"]["j"] = json!("3"));
    let (causes, _) =
        expect_conflicts(w.apply_with("kubectl", json!({"data": {"k": "9", "j": "9"}}), false));
    assert_eq!(causes, ["other: .data.j"]);
}

#[test]
fn other_managers_have_no_such_right() {
    let mut w = applied_client_side(json!({"k": "1"}));
    let (causes, _) = expect_conflicts(w.apply_with("ap", json!({"data": {"k": "9"}}), false));
    assert_eq!(causes, ["kubectl-client-side-apply: .data.k"]);
}

#[test]
fn an_unreadable_annotation_gives_no_right() {
    let mut w = applied_client_side(json!({"k": "1"}));
    w.update("u", |new| {
        new["metadata"]["annotations"][LAST_APPLIED] = json!("{")
    });
    let (causes, _) = expect_conflicts(w.apply_with("kubectl", json!({"data": {"k": "9"}}), false));
    assert_eq!(causes, ["kubectl-client-side-apply: .data.k"]);
}

#[test]
fn an_annotation_that_would_be_too_long_goes() {
    let mut w = applied_client_side(json!({"k": "1"}));
    let long = "x".repeat(300_000);
    w.apply_with("kubectl", json!({"data": {"k": long}}), true)
        .unwrap();
    assert!(
        w.live()["metadata"]["annotations"]
            .get(LAST_APPLIED)
            .is_none()
    );
}
