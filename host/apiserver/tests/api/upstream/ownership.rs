//! Who owns the fields of an object, and what an apply keeps.

use serde_json::json;

use super::{LEASES, ROLES};
use crate::client::{APPLY, CONFIG_MAPS, TestClient, WIDGETS, sized_version};

#[tokio::test]
async fn a_creator_does_not_own_what_every_object_has() {
    let client = TestClient::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let made = client.post(LEASES, &lease).await;
    assert_eq!(
        made.body["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:holderIdentity": {}}})
    );
    let role = client
        .post(ROLES, &json!({"metadata": {"name": "r"}}))
        .await;
    assert_eq!(role.body["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn a_creator_does_not_own_the_finalizer_of_a_namespace() {
    let client = TestClient::new().await;
    let namespaces = "/api/v1/namespaces";
    let made = client
        .post(namespaces, &json!({"metadata": {"name": "one"}}))
        .await;
    assert_eq!(made.body["spec"]["finalizers"], json!(["kubernetes"]));
    let fields = &made.body["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields.get("f:spec"), None, "{fields}");
    let chosen = json!({"metadata": {"name": "two"}, "spec": {"finalizers": ["kubernetes"]}});
    let made = client.post(namespaces, &chosen).await;
    assert_eq!(
        made.body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"],
        json!({"f:finalizers": {}})
    );
}

#[tokio::test]
async fn the_first_apply_leaves_what_every_object_has_without_an_owner() {
    let client = TestClient::new().await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}});
    let path = format!("{ROLES}/r?fieldManager=one");
    let made = client.patch(&path, APPLY, &role).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let same = client.patch(&path, APPLY, &role).await;
    assert_eq!(
        same.body["metadata"]["resourceVersion"], made.body["metadata"]["resourceVersion"],
        "nothing has changed"
    );
    let mut labeled = role.clone();
    labeled["metadata"]["labels"] = json!({"a": "b"});
    let second = client.patch(&path, APPLY, &labeled).await;
    let managers = second.body["metadata"]["managedFields"].as_array();
    assert_eq!(managers.map(Vec::len), Some(1), "{}", second.text);
}

#[tokio::test]
async fn an_applied_null_is_not_lost() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let applied = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": null}});
    let refused = client
        .patch(&format!("{WIDGETS}/w?fieldManager=one"), APPLY, &applied)
        .await;
    assert_eq!(refused.reason(), (422, "Invalid"), "{}", refused.text);
    assert!(
        refused
            .text
            .contains("spec.size in body must be of type integer"),
        "{}",
        refused.text
    );
    // A create removes it.
    let made = client.post(WIDGETS, &applied).await;
    assert_eq!(made.code, 201);
    assert_eq!(made.body["spec"].get("size"), None, "{}", made.text);
}

#[tokio::test]
async fn an_apply_with_the_uid_of_nothing_is_a_conflict() {
    let client = TestClient::new().await;
    let uid = "11111111-1111-1111-1111-111111111111";
    let applied =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": uid}});
    let path = format!("{CONFIG_MAPS}/a?fieldManager=one");
    let refused = client.patch(&path, APPLY, &applied).await;
    assert_eq!(refused.reason(), (409, "Conflict"));
    assert_eq!(
        refused.body["message"],
        format!(
            "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        )
    );
}
