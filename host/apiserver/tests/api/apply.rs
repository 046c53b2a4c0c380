//! Server-side apply.

use serde_json::json;

use crate::client::{
    APPLY, ApiResponse, CONFIG_MAPS, TestClient, WIDGETS, config_map, sized_version, widget,
};

#[tokio::test]
async fn managers_own_the_fields_that_they_apply() {
    let client = TestClient::new().await;
    let path = |manager: &str, more: &str| format!("{CONFIG_MAPS}/a?fieldManager={manager}{more}");
    let apply = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
    let made = client.patch(&path("one", ""), APPLY, &apply("1")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.body["metadata"]["managedFields"][0]["manager"], "one");
    assert_eq!(
        client
            .patch(&path("one", ""), APPLY, &apply("1"))
            .await
            .resource_version(),
        made.resource_version()
    );
    let refused = client.patch(&path("two", ""), APPLY, &apply("2")).await;
    assert_eq!(refused.reason(), (409, "Conflict"));
    assert_eq!(
        refused.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.k"}])
    );
    let forced = client
        .patch(&path("two", "&force=true"), APPLY, &apply("2"))
        .await;
    assert_eq!((forced.code, &forced.body["data"]["k"]), (200, &json!("2")));
    assert_eq!(
        client
            .patch(&format!("{CONFIG_MAPS}/a"), APPLY, &apply("3"))
            .await
            .reason(),
        (422, "Invalid")
    );
}

#[tokio::test]
async fn a_field_that_is_no_longer_applied_is_removed() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{WIDGETS}/w?fieldManager=one");
    client
        .patch(
            &path,
            APPLY,
            &widget("w", json!({"size": 1, "color": "blue"})),
        )
        .await;
    let less = client
        .patch(&path, APPLY, &widget("w", json!({"size": 1})))
        .await;
    assert_eq!(less.body["spec"], json!({"size": 1, "color": "red"}));
    let undeclared = client
        .patch(&path, APPLY, &widget("w", json!({"nope": 1})))
        .await;
    assert_eq!(undeclared.code, 500);
    let other = client
        .patch(
            &format!("{WIDGETS}/x?fieldManager=one"),
            APPLY,
            &widget("w", json!({})),
        )
        .await;
    assert_eq!(other.reason(), (400, "BadRequest"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_applies_create_one_object() {
    let client = TestClient::new().await;
    let applies = (0..16).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let path = format!("{CONFIG_MAPS}/a?fieldManager=m{writer}");
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {format!("k{writer}"): "v"}});
            let response = client.patch(&path, APPLY, &body).await;
            assert!(matches!(response.code, 200 | 201), "{}", response.text);
        })
    });
    for applied in applies.collect::<Vec<_>>() {
        applied.await.unwrap();
    }
    let all = client.get(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!(all.body["data"].as_object().unwrap().len(), 16);
}

#[tokio::test]
async fn the_status_of_a_missing_object_cannot_be_applied() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{WIDGETS}/w/status?fieldManager=one");
    let response = client.patch(&path, APPLY, &widget("w", json!({}))).await;
    assert_eq!(response.reason(), (404, "NotFound"));
}

#[tokio::test]
async fn updates_are_tracked_under_the_client_name() {
    let client = TestClient::new().await;
    let made = client.post(CONFIG_MAPS, &config_map("a")).await;
    let entry = &made.body["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["manager"], &entry["operation"]),
        (&json!("tests"), &json!("Update"))
    );
    assert_eq!(entry["fieldsV1"]["f:data"]["f:k"], json!({}));
}

fn message(response: &ApiResponse) -> &str {
    response.body["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn an_apply_of_another_type_is_refused() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let (path, core) = (
        format!("{WIDGETS}/w?fieldManager=m"),
        format!("{CONFIG_MAPS}/a?fieldManager=m"),
    );
    for (path, body, expected) in [
        (&path, "", "invalid object type: /, Kind="),
        (&path, "kind: Widget", "invalid object type: /, Kind=Widget"),
        (
            &path,
            "apiVersion: example.com/v2\nkind: Widget",
            "invalid object type: example.com/v2, Kind=Widget",
        ),
        (
            &core,
            "apiVersion: v1\nkind: Secret",
            "invalid object type: /v1, Kind=Secret",
        ),
        (
            &path,
            "a: [",
            "error decoding YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content",
        ),
        (
            &path,
            "[a]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
    ] {
        let response = client
            .send("PATCH", path, &[("content-type", APPLY)], body)
            .await;
        assert_eq!((response.code, message(&response)), (400, expected));
    }
}

#[tokio::test]
async fn an_apply_that_its_schema_does_not_allow_names_the_object_as_it_was_sent() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{WIDGETS}/w?fieldManager=m");
    for (spec, expected) in [
        (
            json!({"nope": 1}),
            ".spec.nope: field not declared in schema",
        ),
        (
            json!([{"x": true}]),
            ".spec: expected map, got &{[map[x:true]]}",
        ),
    ] {
        let response = client.patch(&path, APPLY, &widget("w", spec)).await;
        assert_eq!(
            (response.code, message(&response)),
            (
                500,
                &*format!(
                    "failed to create typed patch object (/w; example.com/v1, Kind=Widget): {expected}"
                )
            )
        );
    }
    let made = client
        .patch(&path, APPLY, &widget("w", json!({"size": 1})))
        .await;
    assert_eq!(
        (made.code, &made.body["metadata"]["namespace"]),
        (201, &json!("default"))
    );
}

#[tokio::test]
async fn a_scale_is_not_applied() {
    let client = TestClient::new().await;
    let mut version = sized_version();
    version["subresources"]["scale"] =
        json!({"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"});
    client.define_widgets(version).await;
    let one = format!("{WIDGETS}/w?fieldManager=one");
    client
        .patch(&one, APPLY, &widget("w", json!({"size": 1})))
        .await;
    let scale = |replicas: u32| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": replicas}});
    let path = format!("{WIDGETS}/w/scale?fieldManager=two");
    let conflict = client.patch(&path, APPLY, &scale(3)).await;
    assert_eq!(conflict.reason(), (409, "Conflict"));
    let forced = client
        .patch(&format!("{path}&force=true"), APPLY, &scale(3))
        .await;
    assert_eq!(
        (forced.code, message(&forced)),
        (
            500,
            "failed to convert new object (/w; autoscaling/v1, Kind=Scale) to proper version: request to convert CR to an invalid group/version: autoscaling/v1"
        )
    );
    assert_eq!(
        client.get(&format!("{WIDGETS}/w")).await.body["spec"]["size"],
        1
    );
}
