//! Finalizers, preconditions, and propagation policies.

use serde_json::json;

use crate::client::{CONFIG_MAPS, JSON, MERGE, TestClient, config_map};

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_one_is_removed() {
    let client = TestClient::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut body = config_map("a");
    body["metadata"]["finalizers"] = json!(["example.com/one", "example.com/two"]);
    client.post(CONFIG_MAPS, &body).await;
    let marked = client.delete(&path).await;
    assert_eq!(
        (marked.code, &marked.body["kind"]),
        (200, &json!("ConfigMap"))
    );
    assert!(marked.body["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(
        client.delete(&path).await.resource_version(),
        marked.resource_version()
    );
    assert_eq!(
        client.post(CONFIG_MAPS, &config_map("a")).await.reason(),
        (409, "AlreadyExists")
    );
    let more = client
        .patch(
            &path,
            MERGE,
            &json!({"metadata": {"finalizers": ["example.com/one", "example.com/three"]}}),
        )
        .await;
    assert_eq!(more.reason(), (422, "Invalid"));
    assert_eq!(
        client
            .patch(
                &path,
                MERGE,
                &json!({"metadata": {"finalizers": ["example.com/two"]}})
            )
            .await
            .code,
        200
    );
    assert_eq!(
        client
            .patch(&path, MERGE, &json!({"metadata": {"finalizers": null}}))
            .await
            .code,
        200
    );
    assert_eq!(client.get(&path).await.code, 404);
}

#[tokio::test]
async fn preconditions_and_propagation_policies_are_checked() {
    let client = TestClient::new().await;
    let made = client.post(CONFIG_MAPS, &config_map("a")).await;
    let delete = |body: serde_json::Value| {
        let client = client.clone();
        async move {
            client
                .send(
                    "DELETE",
                    &format!("{CONFIG_MAPS}/a"),
                    &[("content-type", JSON)],
                    body.to_string(),
                )
                .await
        }
    };
    assert_eq!(
        delete(json!({"preconditions": {"uid": "other"}}))
            .await
            .reason(),
        (409, "Conflict")
    );
    assert_eq!(
        delete(json!({"preconditions": {"resourceVersion": "1"}}))
            .await
            .reason(),
        (409, "Conflict")
    );
    assert_eq!(
        delete(json!({"propagationPolicy": "Sideways"}))
            .await
            .reason(),
        (422, "Invalid")
    );
    let other = delete(json!({"preconditions": {"uid": made.body["metadata"]["uid"]}})).await;
    assert_eq!(
        (other.code, &other.body["status"]),
        (200, &json!("Success"))
    );
    assert_eq!(
        delete(json!({"preconditions": {"uid": made.body["metadata"]["uid"]}}))
            .await
            .code,
        404
    );
}

/// As in kube-apiserver, the time itself does not change, but its owner does.
#[tokio::test]
async fn a_patch_of_the_deletion_time_is_tracked_and_has_no_effect() {
    let client = TestClient::new().await;
    let mut held = config_map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(CONFIG_MAPS, &held).await;
    let path = format!("{CONFIG_MAPS}/a");
    let deleted = client.delete(&path).await;
    let later = json!({"metadata": {"deletionTimestamp": "2100-01-01T00:00:00Z"}});
    let patched = client.patch(&path, MERGE, &later).await;
    assert_eq!(
        patched.body["metadata"]["deletionTimestamp"],
        deleted.body["metadata"]["deletionTimestamp"]
    );
    assert!(patched.resource_version() > deleted.resource_version());
}
