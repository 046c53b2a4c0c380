use serde_json::{Value, json};

use crate::client::{CRDS, Client, MERGE, PATIENCE, WIDGETS, sized, widget, widgets};

fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v str> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)?["status"]
        .as_str()
}

/// Asks until a condition has the status; gives the object as it is then.
async fn awaited(client: &Client, path: &str, kind: &str, status: &str) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let now = client.get(path).await.body;
        if condition(&now, kind) == Some(status) {
            return now;
        }
        assert!(tokio::time::Instant::now() < end, "{now}");
        tokio::task::yield_now().await;
    }
}

/// Asks until the answer has the code.
async fn until(client: &Client, path: &str, code: u16) {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).await;
        if answer.code == code {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{path}: {}", answer.text);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_created() {
    let client = Client::new().await;
    assert_eq!(client.get(WIDGETS).await.text, "404 page not found\n");
    client.widgets(sized()).await;
    let made = client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let now = awaited(
        &client,
        &format!("{CRDS}/widgets.example.com"),
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
async fn names_belong_to_the_first_until_it_goes() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    let mut second = widgets(sized());
    second["metadata"]["name"] = "gadgets.example.com".into();
    second["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget"});
    assert_eq!(client.post(CRDS, &second).await.code, 201);
    let path = format!("{CRDS}/gadgets.example.com");
    awaited(&client, &path, "NamesAccepted", "False").await;
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 404);
    client.delete(&format!("{CRDS}/widgets.example.com")).await;
    awaited(&client, &path, "Established", "True").await;
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 200);
}

#[tokio::test]
async fn a_definition_that_reaches_for_taken_names_keeps_its_own() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    let mut second = widgets(sized());
    second["metadata"]["name"] = "gadgets.example.com".into();
    second["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget"});
    assert_eq!(client.post(CRDS, &second).await.code, 201);
    let path = format!("{CRDS}/gadgets.example.com");
    awaited(&client, &path, "Established", "True").await;
    let names = json!({"spec": {"names": {"shortNames": ["wg"]}}});
    assert_eq!(client.patch(&path, MERGE, &names).await.code, 200);
    let refused = awaited(&client, &path, "NamesAccepted", "False").await;
    assert_eq!(condition(&refused, "Established"), Some("True"));
    assert_eq!(client.get("/apis/example.com/v1/gadgets").await.code, 200);
    let resources = client.get("/apis/example.com/v1").await.body["resources"].to_string();
    assert_eq!(resources.matches("\"wg\"").count(), 1, "{resources}");
}

#[tokio::test]
async fn what_no_schema_can_mean_is_refused() {
    let client = Client::new().await;
    let bad = widgets(
        json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "thing"}}}}}),
    );
    let answer = client.post(CRDS, &bad).await;
    assert_eq!(answer.reason(), (422, "Invalid"));
    let mut misnamed = widgets(sized());
    misnamed["metadata"]["name"] = "other.example.com".into();
    assert_eq!(
        client.post(CRDS, &misnamed).await.reason(),
        (422, "Invalid")
    );
    let mut webhook = widgets(sized());
    webhook["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com"}}});
    assert_eq!(client.post(CRDS, &webhook).await.reason(), (422, "Invalid"));
}

#[tokio::test]
async fn objects_are_judged_by_the_schema() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    let small = client.post(WIDGETS, &widget("w", json!({"size": 0}))).await;
    assert_eq!(small.reason(), (422, "Invalid"));
    assert_eq!(small.body["details"]["causes"][0]["field"], "spec.size");
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    // A new default shows in objects that were stored before it.
    let mut version = widgets(sized())["spec"]["versions"][0].clone();
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["shape"] =
        json!({"type": "string", "default": "round"});
    let changed = client
        .patch(
            &format!("{CRDS}/widgets.example.com"),
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
async fn a_deleted_definition_takes_its_objects_along() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    client.post(WIDGETS, &widget("free", json!({}))).await;
    let mut held = widget("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(WIDGETS, &held).await;
    let mut watch = client
        .watch(&format!(
            "{WIDGETS}?watch=1&fieldSelector=metadata.name%3Dfree"
        ))
        .await;
    assert_eq!(watch.brief().await.0, "ADDED");
    let gone = client.delete(&format!("{CRDS}/widgets.example.com")).await;
    assert_eq!(gone.code, 200);
    assert_eq!(condition(&gone.body, "Terminating"), Some("True"));
    assert_eq!(watch.brief().await.0, "DELETED");
    until(&client, &format!("{WIDGETS}/free"), 404).await;
    assert_eq!(
        client
            .post(WIDGETS, &widget("late", json!({})))
            .await
            .reason(),
        (403, "Forbidden")
    );
    assert_eq!(
        client
            .get(&format!("{CRDS}/widgets.example.com"))
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
    until(&client, &format!("{CRDS}/widgets.example.com"), 404).await;
    until(&client, "/apis/example.com", 404).await;
    assert_eq!(watch.next().await, None, "the watch ends with the resource");
}

#[tokio::test]
async fn versions_share_objects_and_the_stored_one_decides_what_is_kept() {
    let client = Client::new().await;
    let version = |name: &str, storage: bool, field: &str| {
        json!({"name": name, "served": true, "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"both": {"type": "string"}, field: {"type": "string"}}}}}}})
    };
    let mut body = widgets(json!({}));
    body["spec"]["versions"] = json!([version("v1", true, "one"), version("v2", false, "two")]);
    assert_eq!(client.post(CRDS, &body).await.code, 201);
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
async fn scale_is_a_view_of_the_object() {
    let client = Client::new().await;
    client.widgets(json!({
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
