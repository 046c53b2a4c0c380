//! CustomResourceDefinitions and the resources that they define.

use serde_json::{Value, json};

use crate::client::{
    DEFINITIONS, MERGE, TestClient, WIDGETS, sized_version, widget, widget_definition,
};

fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v str> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)?["status"]
        .as_str()
}

/// Gets an object until a condition has the status.
async fn wait_for_condition(client: &TestClient, path: &str, kind: &str, status: &str) -> Value {
    client
        .wait_until(path, |response| {
            condition(&response.body, kind) == Some(status)
        })
        .await
        .body
}

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_created() {
    let client = TestClient::new().await;
    assert_eq!(client.get(WIDGETS).await.text, "404 page not found\n");
    client.define_widgets(sized_version()).await;
    let made = client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let now = wait_for_condition(
        &client,
        &format!("{DEFINITIONS}/widgets.example.com"),
        "Established",
        "True",
    )
    .await;
    assert_eq!(condition(&now, "NamesAccepted"), Some("True"));
    assert_eq!(now["status"]["acceptedNames"]["plural"], "widgets");
    assert_eq!(now["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(
        client.get("/apis/example.com/v1").await.body["resources"][0]["name"],
        "widgets"
    );
    let openapi = client.get("/openapi/v3/apis/example.com/v1").await;
    assert!(openapi.body["components"]["schemas"]["com.example.v1.Widget"].is_object());
}

#[tokio::test]
async fn names_belong_to_the_first_definition_until_it_is_deleted() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let mut second = widget_definition(sized_version());
    second["metadata"]["name"] = "gadgets.example.com".into();
    second["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget"});
    assert_eq!(client.post(DEFINITIONS, &second).await.code, 201);
    let path = format!("{DEFINITIONS}/gadgets.example.com");
    wait_for_condition(&client, &path, "NamesAccepted", "False").await;
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 404);
    client
        .delete(&format!("{DEFINITIONS}/widgets.example.com"))
        .await;
    wait_for_condition(&client, &path, "Established", "True").await;
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 200);
}

#[tokio::test]
async fn a_definition_that_requests_taken_names_keeps_its_own() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let mut second = widget_definition(sized_version());
    second["metadata"]["name"] = "gadgets.example.com".into();
    second["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget"});
    assert_eq!(client.post(DEFINITIONS, &second).await.code, 201);
    let path = format!("{DEFINITIONS}/gadgets.example.com");
    wait_for_condition(&client, &path, "Established", "True").await;
    let names = json!({"spec": {"names": {"shortNames": ["wg"]}}});
    assert_eq!(client.patch(&path, MERGE, &names).await.code, 200);
    let refused = wait_for_condition(&client, &path, "NamesAccepted", "False").await;
    assert_eq!(condition(&refused, "Established"), Some("True"));
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 200);
    let resources = client.get("/apis/example.com/v1").await.body["resources"].to_string();
    assert_eq!(resources.matches("\"wg\"").count(), 1, "{resources}");
}

#[tokio::test]
async fn invalid_definitions_are_refused() {
    let client = TestClient::new().await;
    let bad = widget_definition(
        json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "thing"}}}}}),
    );
    let response = client.post(DEFINITIONS, &bad).await;
    assert_eq!(response.reason(), (422, "Invalid"));
    let mut misnamed = widget_definition(sized_version());
    misnamed["metadata"]["name"] = "other.example.com".into();
    assert_eq!(
        client.post(DEFINITIONS, &misnamed).await.reason(),
        (422, "Invalid")
    );
    let mut webhook = widget_definition(sized_version());
    webhook["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com"}}});
    assert_eq!(
        client.post(DEFINITIONS, &webhook).await.reason(),
        (422, "Invalid")
    );
}

#[tokio::test]
async fn objects_are_validated_and_defaulted_by_the_schema() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let small = client.post(WIDGETS, &widget("w", json!({"size": 0}))).await;
    assert_eq!(small.reason(), (422, "Invalid"));
    assert_eq!(small.body["details"]["causes"][0]["field"], "spec.size");
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    // A new default applies to objects that were stored before it.
    let mut version = widget_definition(sized_version())["spec"]["versions"][0].clone();
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["shape"] =
        json!({"type": "string", "default": "round"});
    let changed = client
        .patch(
            &format!("{DEFINITIONS}/widgets.example.com"),
            MERGE,
            &json!({"spec": {"versions": [version]}}),
        )
        .await;
    assert_eq!(changed.code, 200, "{}", changed.text);
    assert_eq!(
        client.get(&format!("{WIDGETS}/w")).await.body["spec"]["shape"],
        "round"
    );
}

#[tokio::test]
async fn a_deleted_definition_deletes_its_objects() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    client.post(WIDGETS, &widget("free", json!({}))).await;
    let mut held = widget("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(WIDGETS, &held).await;
    let mut watch = client
        .watch(&format!(
            "{WIDGETS}?watch=1&fieldSelector=metadata.name%3Dfree"
        ))
        .await;
    assert_eq!(watch.next_type_and_name().await.0, "ADDED");
    let gone = client
        .delete(&format!("{DEFINITIONS}/widgets.example.com"))
        .await;
    assert_eq!(gone.code, 200);
    assert_eq!(condition(&gone.body, "Terminating"), Some("True"));
    assert_eq!(watch.next_type_and_name().await.0, "DELETED");
    client.wait_until_gone(&format!("{WIDGETS}/free")).await;
    assert_eq!(
        client
            .post(WIDGETS, &widget("late", json!({})))
            .await
            .reason(),
        (403, "Forbidden")
    );
    assert_eq!(
        client
            .get(&format!("{DEFINITIONS}/widgets.example.com"))
            .await
            .code,
        200
    );
    client
        .patch(
            &format!("{WIDGETS}/held"),
            MERGE,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
    client
        .wait_until_gone(&format!("{DEFINITIONS}/widgets.example.com"))
        .await;
    client.wait_until_gone("/apis/example.com").await;
    assert_eq!(watch.next().await, None, "the watch ends with the resource");
}

#[tokio::test]
async fn versions_share_objects_and_the_storage_version_determines_the_fields() {
    let client = TestClient::new().await;
    let version = |name: &str, storage: bool, field: &str| {
        json!({"name": name, "served": true, "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"both": {"type": "string"}, field: {"type": "string"}}}}}}})
    };
    let mut body = widget_definition(json!({}));
    body["spec"]["versions"] = json!([version("v1", true, "one"), version("v2", false, "two")]);
    assert_eq!(client.post(DEFINITIONS, &body).await.code, 201);
    client
        .post(WIDGETS, &widget("w", json!({"both": "b", "one": "1"})))
        .await;
    let second = client
        .get("/apis/example.com/v2/namespaces/default/widgets/w")
        .await;
    assert_eq!(second.body["apiVersion"], "example.com/v2");
    assert_eq!(second.body["spec"], json!({"both": "b"}));
    let mut other = widget("x", json!({"both": "b", "two": "2"}));
    other["apiVersion"] = "example.com/v2".into();
    let made = client
        .post("/apis/example.com/v2/namespaces/default/widgets", &other)
        .await;
    assert_eq!(made.body["spec"], json!({"both": "b"}));
}

#[tokio::test]
async fn the_scale_subresource_reads_and_writes_the_object() {
    let client = TestClient::new().await;
    client.define_widgets(json!({
        "subresources": {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    })).await;
    client
        .post(WIDGETS, &widget("w", json!({"replicas": 2})))
        .await;
    let path = format!("{WIDGETS}/w/scale");
    let scale = client.get(&path).await;
    assert_eq!(
        (&scale.body["kind"], &scale.body["spec"]["replicas"]),
        (&json!("Scale"), &json!(2))
    );
    let patched = client
        .patch(&path, MERGE, &json!({"spec": {"replicas": 5}}))
        .await;
    assert_eq!(
        (patched.code, &patched.body["spec"]["replicas"]),
        (200, &json!(5))
    );
    assert_eq!(
        client.get(&format!("{WIDGETS}/w")).await.body["spec"]["replicas"],
        5
    );
    assert_eq!(
        client.put(&path, &scale.body).await.reason(),
        (409, "Conflict")
    );
    assert_eq!(
        client
            .patch(&path, MERGE, &json!({"spec": {"replicas": -1}}))
            .await
            .reason(),
        (422, "Invalid")
    );
}
