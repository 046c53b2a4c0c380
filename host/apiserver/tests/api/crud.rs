//! Create, read, update, patch, and delete.

use serde_json::json;

use crate::client::{
    CONFIG_MAPS, JSON_PATCH, MERGE, STRATEGIC, TestClient, WIDGETS, config_map, sized_version,
    widget,
};

#[tokio::test]
async fn an_object_exists_from_create_to_delete() {
    let client = TestClient::new().await;
    assert_eq!(
        client.get(&format!("{CONFIG_MAPS}/a")).await.reason(),
        (404, "NotFound")
    );
    let made = client.post(CONFIG_MAPS, &config_map("a")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.body["kind"], "ConfigMap");
    assert!(
        made.body["metadata"]["uid"].is_string()
            && made.body["metadata"]["creationTimestamp"].is_string()
    );
    assert_eq!(
        client.get(&format!("{CONFIG_MAPS}/a")).await.body,
        made.body
    );
    assert_eq!(
        client.post(CONFIG_MAPS, &config_map("a")).await.reason(),
        (409, "AlreadyExists")
    );
    let gone = client.delete(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!((gone.code, &gone.body["status"]), (200, &json!("Success")));
    assert_eq!(gone.body["details"]["uid"], made.body["metadata"]["uid"]);
    assert_eq!(
        client.delete(&format!("{CONFIG_MAPS}/a")).await.reason(),
        (404, "NotFound")
    );
}

#[tokio::test]
async fn an_update_with_an_old_resource_version_is_a_conflict() {
    let client = TestClient::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    let first = client.post(CONFIG_MAPS, &config_map("a")).await;
    let mut body = first.body.clone();
    body["data"]["k"] = "2".into();
    let second = client.put(&path, &body).await;
    assert!(second.resource_version() > first.resource_version());
    body["data"]["k"] = "3".into();
    assert_eq!(client.put(&path, &body).await.reason(), (409, "Conflict"));
    let mut other = second.body.clone();
    other["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555".into();
    assert_eq!(client.put(&path, &other).await.reason(), (409, "Conflict"));
    // Built-in kinds accept an update without a resource version, custom ones do not.
    assert_eq!(client.put(&path, &config_map("a")).await.code, 200);
    client.define_widgets(sized_version()).await;
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let blind = client
        .put(&format!("{WIDGETS}/w"), &widget("w", json!({"size": 2})))
        .await;
    assert_eq!(blind.reason(), (422, "Invalid"));
    assert_eq!(
        blind.body["details"]["causes"][0]["field"],
        "metadata.resourceVersion"
    );
}

#[tokio::test]
async fn a_write_without_a_change_keeps_the_resource_version() {
    let client = TestClient::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    let made = client.post(CONFIG_MAPS, &config_map("a")).await;
    let same = client.put(&path, &made.body).await;
    assert_eq!(same.body, made.body);
    let patched = client
        .patch(&path, MERGE, &json!({"data": {"k": "1"}}))
        .await;
    assert_eq!(patched.resource_version(), made.resource_version());
}

#[tokio::test]
async fn each_kind_of_patch_is_applied() {
    let client = TestClient::new().await;
    let path = format!("{CONFIG_MAPS}/a");
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let json = client
        .patch(
            &path,
            JSON_PATCH,
            &json!([{"op": "add", "path": "/data/j", "value": "2"}]),
        )
        .await;
    assert_eq!(json.body["data"], json!({"k": "1", "j": "2"}));
    let merge = client
        .patch(&path, MERGE, &json!({"data": {"j": null, "m": "3"}}))
        .await;
    assert_eq!(merge.body["data"], json!({"k": "1", "m": "3"}));
    let strategic = client
        .patch(
            &path,
            STRATEGIC,
            &json!({"data": {"$patch": "replace", "s": "4"}}),
        )
        .await;
    assert_eq!(strategic.body["data"], json!({"s": "4"}));
    let failed = client
        .patch(
            &path,
            JSON_PATCH,
            &json!([{"op": "test", "path": "/data/s", "value": "5"}]),
        )
        .await;
    assert_eq!(failed.code, 422);
    client.define_widgets(sized_version()).await;
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let refused = client
        .patch(
            &format!("{WIDGETS}/w"),
            STRATEGIC,
            &json!({"spec": {"size": 2}}),
        )
        .await;
    assert_eq!(refused.reason(), (415, "UnsupportedMediaType"));
    assert_eq!(
        client.get(&format!("{WIDGETS}/w")).await.body["spec"]["size"],
        1
    );
}

#[tokio::test]
async fn status_and_spec_are_written_separately_and_spec_changes_the_generation() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let mut body = widget("w", json!({"size": 1}));
    body["status"] = json!({"phase": "made up"});
    let made = client.post(WIDGETS, &body).await;
    assert_eq!(made.body.get("status"), None);
    assert_eq!(
        (
            &made.body["metadata"]["generation"],
            &made.body["spec"]["color"]
        ),
        (&json!(1), &json!("red"))
    );
    let path = format!("{WIDGETS}/w");
    let status = client.patch(&format!("{path}/status"), MERGE, &json!({"status": {"phase": "Up"}, "spec": {"size": 9}, "metadata": {"labels": {"x": "y"}}})).await;
    assert_eq!(
        (
            &status.body["status"]["phase"],
            &status.body["spec"]["size"]
        ),
        (&json!("Up"), &json!(1))
    );
    assert_eq!(status.body["metadata"]["generation"], 1);
    assert_eq!(status.body["metadata"].get("labels"), None);
    let spec = client
        .patch(
            &path,
            MERGE,
            &json!({"status": {"phase": "Down"}, "spec": {"size": 2}}),
        )
        .await;
    assert_eq!(
        (
            &spec.body["status"]["phase"],
            &spec.body["metadata"]["generation"]
        ),
        (&json!("Up"), &json!(2))
    );
    let label = client
        .patch(&path, MERGE, &json!({"metadata": {"labels": {"x": "y"}}}))
        .await;
    assert_eq!(label.body["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let client = TestClient::new().await;
    let made = client
        .post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a"))
        .await;
    assert_eq!(made.code, 201);
    assert_eq!(made.body["metadata"].get("resourceVersion"), None);
    assert_eq!(client.get(&format!("{CONFIG_MAPS}/a")).await.code, 404);
    client.post(CONFIG_MAPS, &config_map("a")).await;
    client
        .patch(
            &format!("{CONFIG_MAPS}/a?dryRun=All"),
            MERGE,
            &json!({"data": {"k": "2"}}),
        )
        .await;
    client.delete(&format!("{CONFIG_MAPS}/a?dryRun=All")).await;
    assert_eq!(
        client.get(&format!("{CONFIG_MAPS}/a")).await.body["data"]["k"],
        "1"
    );
    assert_eq!(
        client
            .post(&format!("{CONFIG_MAPS}?dryRun=Some"), &config_map("b"))
            .await
            .reason(),
        (422, "Invalid")
    );
}

#[tokio::test]
async fn names_are_generated_and_validated() {
    let client = TestClient::new().await;
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}});
    let (one, two) = (
        client.post(CONFIG_MAPS, &body).await,
        client.post(CONFIG_MAPS, &body).await,
    );
    let name = one.body["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    assert_ne!(one.body["metadata"]["name"], two.body["metadata"]["name"]);
    let bad = client.post(CONFIG_MAPS, &config_map("Bad_Name")).await;
    assert_eq!(bad.reason(), (422, "Invalid"));
    assert_eq!(bad.body["details"]["causes"][0]["field"], "metadata.name");
    let mut labeled = config_map("l");
    labeled["metadata"]["labels"] = json!({"bad key": "v"});
    assert_eq!(
        client.post(CONFIG_MAPS, &labeled).await.reason(),
        (422, "Invalid")
    );
    assert_eq!(
        client
            .post("/api/v1/namespaces/none/configmaps", &config_map("a"))
            .await
            .reason(),
        (404, "NotFound")
    );
}

#[tokio::test]
async fn unknown_fields_are_treated_as_field_validation_says() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let odd = |name: &str| widget(name, json!({"size": 1, "nope": 2}));
    let warned = client.post(WIDGETS, &odd("a")).await;
    assert_eq!(
        (warned.code, warned.warnings()),
        (201, vec!["299 - \"unknown field \\\"spec.nope\\\"\""])
    );
    assert_eq!(warned.body["spec"], json!({"size": 1, "color": "red"}));
    assert!(
        client
            .post(&format!("{WIDGETS}?fieldValidation=Ignore"), &odd("b"))
            .await
            .warnings()
            .is_empty()
    );
    assert_eq!(
        client
            .post(&format!("{WIDGETS}?fieldValidation=Strict"), &odd("c"))
            .await
            .reason(),
        (400, "BadRequest")
    );
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"k":"1","k":"2"}}"#;
    let strict = client
        .send(
            "POST",
            &format!("{CONFIG_MAPS}?fieldValidation=Strict"),
            &[("content-type", "application/json")],
            twice,
        )
        .await;
    assert_eq!(strict.reason(), (400, "BadRequest"));
    assert!(strict.text.contains("duplicate field"), "{}", strict.text);
}

#[tokio::test]
async fn both_event_groups_share_their_objects() {
    let client = TestClient::new().await;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "Because", "message": "it happened", "type": "Normal",
        "involvedObject": {"kind": "ConfigMap", "namespace": "default", "name": "x"}});
    let made = client
        .post("/api/v1/namespaces/default/events", &event)
        .await;
    assert_eq!(made.code, 201, "{}", made.text);
    let other = client
        .get("/apis/events.k8s.io/v1/namespaces/default/events/e")
        .await;
    assert_eq!(
        (&other.body["apiVersion"], &other.body["note"]),
        (&json!("events.k8s.io/v1"), &json!("it happened"))
    );
    assert_eq!(other.body["regarding"]["name"], "x");
    let found = client
        .get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dx")
        .await;
    assert_eq!(found.names(), ["e"]);
}
