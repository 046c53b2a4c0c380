//! kubectl's migration from client-side to server-side apply.

use serde_json::{Value, json};

use crate::tracked_object::{TrackedObject, expect_conflicts};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns an object as a client-side `kubectl apply` leaves it: with an updater's entry and the
/// annotation.
fn applied_client_side(data: Value) -> TrackedObject {
    let mut object = TrackedObject::config_map();
    let last = json!({"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "a", "annotations": {}}, "data": data});
    object.update("kubectl-client-side-apply", |new| {
        new["data"] = data;
        new["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{last}\n"));
    });
    object
}

#[test]
fn kubectl_takes_over_fields_that_it_applied_client_side() {
    let mut object = applied_client_side(json!({"k": "1", "j": "2"}));
    object
        .apply_with("kubectl", json!({"data": {"k": "9", "j": "2"}}), false)
        .unwrap();
    assert_eq!(object.live()["data"], json!({"k": "9", "j": "2"}));
    let last: Value = serde_json::from_str(
        object.live()["metadata"]["annotations"][LAST_APPLIED]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        last["data"],
        json!({"k": "9", "j": "2"}),
        "the annotation is updated"
    );
    assert_eq!(last["metadata"], json!({"name": "a"}));
}

#[test]
fn a_field_that_another_manager_changed_since_conflicts() {
    let mut object = applied_client_side(json!({"k": "1", "j": "2"}));
    object.update("other", |new| new["data"]["j"] = json!("3"));
    let (causes, _) = expect_conflicts(object.apply_with(
        "kubectl",
        json!({"data": {"k": "9", "j": "9"}}),
        false,
    ));
    assert_eq!(causes, ["other: .data.j"]);
}

#[test]
fn other_managers_do_not_take_over_fields() {
    let mut object = applied_client_side(json!({"k": "1"}));
    let (causes, _) = expect_conflicts(object.apply_with("ap", json!({"data": {"k": "9"}}), false));
    assert_eq!(causes, ["kubectl-client-side-apply: .data.k"]);
}

#[test]
fn an_unreadable_annotation_resolves_no_conflict() {
    let mut object = applied_client_side(json!({"k": "1"}));
    object.update("u", |new| {
        new["metadata"]["annotations"][LAST_APPLIED] = json!("{")
    });
    let (causes, _) =
        expect_conflicts(object.apply_with("kubectl", json!({"data": {"k": "9"}}), false));
    assert_eq!(causes, ["kubectl-client-side-apply: .data.k"]);
}

#[test]
fn an_annotation_that_would_become_too_long_is_removed() {
    let mut object = applied_client_side(json!({"k": "1"}));
    let long = "x".repeat(300_000);
    object
        .apply_with("kubectl", json!({"data": {"k": long}}), true)
        .unwrap();
    assert!(
        object.live()["metadata"]["annotations"]
            .get(LAST_APPLIED)
            .is_none()
    );
}
