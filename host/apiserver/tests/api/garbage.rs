//! Garbage collection by owner references.

use serde_json::{Value, json};

use crate::client::{
    CONFIG_MAPS, DEFINITIONS, JSON, JSON_PATCH, MERGE, TestClient, WIDGETS, config_map,
    sized_version, widget, widget_definition,
};

/// The widgets of a second version.
const V2: &str = "/apis/example.com/v2/namespaces/default/widgets";

fn object_path(name: &str) -> String {
    format!("{CONFIG_MAPS}/{name}")
}

/// Creates a config map with owners: their names, their uids, and whether it
/// blocks their deletion. Returns its uid.
async fn create_owned(client: &TestClient, name: &str, owners: &[(&str, &str, bool)]) -> String {
    let mut body = config_map(name);
    let owners: Vec<Value> = owners
        .iter()
        .map(|(name, uid, block)| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": block})
        })
        .collect();
    body["metadata"]["ownerReferences"] = owners.into();
    let made = client.post(CONFIG_MAPS, &body).await;
    assert_eq!(made.code, 201, "{}", made.text);
    made.body["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn delete(client: &TestClient, name: &str, options: Value) -> Value {
    let response = client
        .send(
            "DELETE",
            &object_path(name),
            &[("content-type", JSON)],
            options.to_string(),
        )
        .await;
    assert_eq!(response.code, 200, "{}", response.text);
    response.body
}

#[tokio::test]
async fn a_background_delete_removes_dependents_after_their_last_owner() {
    let client = TestClient::new().await;
    let one = create_owned(&client, "one", &[]).await;
    let two = create_owned(&client, "two", &[]).await;
    let child = create_owned(&client, "child", &[("one", &one, false)]).await;
    create_owned(&client, "grandchild", &[("child", &child, true)]).await;
    create_owned(
        &client,
        "shared",
        &[("one", &one, true), ("two", &two, true)],
    )
    .await;
    create_owned(&client, "free", &[]).await;
    delete(&client, "one", json!({})).await;
    client.wait_until_gone(&object_path("child")).await;
    client.wait_until_gone(&object_path("grandchild")).await;
    let shared = client
        .wait_until(&object_path("shared"), |found| {
            found.body["metadata"]["ownerReferences"]
                .as_array()
                .map(Vec::len)
                == Some(1)
        })
        .await;
    assert_eq!(shared.body["metadata"]["ownerReferences"][0]["name"], "two");
    assert_eq!(client.get(&object_path("free")).await.code, 200);
}

#[tokio::test]
async fn a_foreground_delete_removes_the_owner_last() {
    let client = TestClient::new().await;
    let owner = create_owned(&client, "owner", &[]).await;
    let child = create_owned(&client, "child", &[("owner", &owner, true)]).await;
    let mut leaf = config_map("leaf");
    leaf["metadata"]["finalizers"] = json!(["example.com/f"]);
    leaf["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "child", "uid": child, "blockOwnerDeletion": true}]);
    client.post(CONFIG_MAPS, &leaf).await;
    let marked = delete(&client, "owner", json!({"propagationPolicy": "Foreground"})).await;
    assert_eq!(
        marked["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let terminating = |response: &crate::client::ApiResponse| {
        response.body["metadata"]["deletionTimestamp"].is_string()
    };
    client.wait_until(&object_path("leaf"), terminating).await;
    for name in ["child", "owner"] {
        assert!(terminating(&client.get(&object_path(name)).await), "{name}");
    }
    let free = json!({"metadata": {"finalizers": null}});
    client.patch(&object_path("leaf"), MERGE, &free).await;
    for name in ["leaf", "child", "owner"] {
        client.wait_until_gone(&object_path(name)).await;
    }
}

#[tokio::test]
async fn orphans_lose_the_owner_reference_and_stay() {
    let client = TestClient::new().await;
    for (name, options) in [
        ("new", json!({"propagationPolicy": "Orphan"})),
        ("old", json!({"orphanDependents": true})),
    ] {
        let uid = create_owned(&client, name, &[]).await;
        let child = format!("{name}-child");
        create_owned(&client, &child, &[(name, &uid, true)]).await;
        let marked = delete(&client, name, options).await;
        assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
        client.wait_until_gone(&object_path(name)).await;
        let left = client.get(&object_path(&child)).await;
        assert_eq!(left.code, 200);
        assert!(
            left.body["metadata"]["ownerReferences"].is_null(),
            "{}",
            left.text
        );
        assert!(
            !left.text.contains("f:ownerReferences"),
            "nobody owns it: {}",
            left.text
        );
    }
}

/// Returns a definition of widgets: `v1` has a size, `v2` also a color and is stored.
fn definition_with_two_versions() -> Value {
    let version = |name: &str, properties: Value| {
        json!({
            "name": name, "served": true, "storage": name == "v2",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": properties},
            }}},
        })
    };
    let size = json!({"type": "integer"});
    let mut definition = widget_definition(sized_version());
    definition["spec"]["versions"] = json!([
        version("v1", json!({"size": size})),
        version("v2", json!({"size": size, "color": {"type": "string"}})),
    ]);
    definition
}

/// Sets whether some of the versions of widgets are served.
async fn serve(client: &TestClient, versions: &[(usize, &str)], is_served: bool) {
    let steps: Vec<Value> = versions
        .iter()
        .map(|(index, _)| json!({"op": "replace", "path": format!("/spec/versions/{index}/served"), "value": is_served}))
        .collect();
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let changed = client.patch(&path, JSON_PATCH, &json!(steps)).await;
    assert_eq!(changed.code, 200, "{}", changed.text);
    let expected = if is_served { 200 } else { 404 };
    for (_, path) in versions {
        client
            .wait_until(path, |response| response.code == expected)
            .await;
    }
}

#[tokio::test]
async fn an_orphan_loses_its_owner_alone_while_its_version_is_not_served() {
    // Without the stored version, objects have fewer fields; without any, no type.
    for stopped in [&[(1, V2)][..], &[(0, WIDGETS), (1, V2)]] {
        let client = TestClient::new().await;
        let defined = client
            .post(DEFINITIONS, &definition_with_two_versions())
            .await;
        assert_eq!(defined.code, 201, "{}", defined.text);
        let uid = create_owned(&client, "owner", &[]).await;
        create_owned_widget(&client, &uid).await;
        serve(&client, stopped, false).await;
        delete(&client, "owner", json!({"propagationPolicy": "Orphan"})).await;
        client.wait_until_gone(&object_path("owner")).await;
        serve(&client, stopped, true).await;
        let orphan = client.get(&format!("{V2}/w")).await.body;
        assert_eq!(
            orphan["spec"],
            json!({"size": 1, "color": "red"}),
            "{orphan}"
        );
        assert_eq!(orphan["metadata"].get("ownerReferences"), None, "{orphan}");
    }
}

async fn create_owned_widget(client: &TestClient, owner_uid: &str) {
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner_uid});
    let widget = json!({
        "apiVersion": "example.com/v2", "kind": "Widget",
        "metadata": {"name": "w", "ownerReferences": [owner]}, "spec": {"size": 1, "color": "red"},
    });
    let made = client.post(V2, &widget).await;
    assert_eq!(made.code, 201, "{}", made.text);
}

#[tokio::test]
async fn watchers_get_an_object_as_it_was_before_the_collector_ended_its_deletion() {
    let client = TestClient::new().await;
    let uid = create_owned(&client, "owner", &[]).await;
    create_owned(&client, "child", &[("owner", &uid, true)]).await;
    // With a selector, a watch has the state before in any case.
    let mut watch = client.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    delete(&client, "owner", json!({"propagationPolicy": "Orphan"})).await;
    let deleted = loop {
        let event = watch.next().await.expect("the deletion");
        if event["type"] == "DELETED" {
            break event;
        }
    };
    assert_eq!(
        deleted["object"]["metadata"]["finalizers"],
        json!(["orphan"])
    );
}

#[tokio::test]
async fn a_delete_without_dependents_leaves_no_finalizer() {
    let client = TestClient::new().await;
    for policy in ["Foreground", "Orphan", "Background"] {
        create_owned(&client, "alone", &[]).await;
        delete(&client, "alone", json!({"propagationPolicy": policy})).await;
        client.wait_until_gone(&object_path("alone")).await;
    }
    // A definition and a namespace have other finalizers, too.
    client.define_widgets(sized_version()).await;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
    client.post("/api/v1/namespaces", &body).await;
    client
        .post(
            "/apis/example.com/v1/namespaces/x/widgets",
            &widget("w", json!({})),
        )
        .await;
    for path in [
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
        "/api/v1/namespaces/x",
    ] {
        let options = json!({"propagationPolicy": "Foreground"});
        client
            .send(
                "DELETE",
                path,
                &[("content-type", JSON)],
                options.to_string(),
            )
            .await;
        client.wait_until_gone(path).await;
    }
}

#[tokio::test]
async fn cycles_of_owners_are_deleted() {
    let client = TestClient::new().await;
    let one = create_owned(&client, "one", &[]).await;
    let two = create_owned(&client, "two", &[("one", &one, true)]).await;
    let back = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "two", "uid": two, "blockOwnerDeletion": true}]}});
    assert_eq!(
        client.patch(&object_path("one"), MERGE, &back).await.code,
        200
    );
    delete(&client, "one", json!({"propagationPolicy": "Foreground"})).await;
    client.wait_until_gone(&object_path("one")).await;
    client.wait_until_gone(&object_path("two")).await;
    // An object that owns itself.
    let own = create_owned(&client, "own", &[]).await;
    let itself = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": own, "blockOwnerDeletion": true}]}});
    assert_eq!(
        client.patch(&object_path("own"), MERGE, &itself).await.code,
        200
    );
    delete(&client, "own", json!({"propagationPolicy": "Foreground"})).await;
    client.wait_until_gone(&object_path("own")).await;
}

#[tokio::test]
async fn an_owner_of_an_unknown_kind_counts_as_existing() {
    let client = TestClient::new().await;
    let mut body = config_map("pod-owned");
    body["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
    client.post(CONFIG_MAPS, &body).await;
    // An object of the same name with another uid is not the owner: it is gone.
    create_owned(&client, "owner", &[]).await;
    create_owned(&client, "stale", &[("owner", "former-uid", false)]).await;
    client.wait_until_gone(&object_path("stale")).await;
    assert_eq!(client.get(&object_path("pod-owned")).await.code, 200);
    assert_eq!(client.get(&object_path("owner")).await.code, 200);
}
