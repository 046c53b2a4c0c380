//! Garbage collection by owner references.

use serde_json::{Value, json};

use crate::client::{CMS, Client, JSON, MERGE, config_map, sized, widget};

fn at(name: &str) -> String {
    format!("{CMS}/{name}")
}

/// Creates a config map that is owned by others, given as name, uid and
/// whether they wait for it.
async fn owned(client: &Client, name: &str, owners: &[(&str, &str, bool)]) -> String {
    let mut body = config_map(name);
    let owners: Vec<Value> = owners
        .iter()
        .map(|(name, uid, block)| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": block})
        })
        .collect();
    body["metadata"]["ownerReferences"] = owners.into();
    let made = client.post(CMS, &body).await;
    assert_eq!(made.code, 201, "{}", made.text);
    made.body["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn delete(client: &Client, name: &str, options: Value) -> Value {
    let answer = client
        .ask(
            "DELETE",
            &at(name),
            &[("content-type", JSON)],
            options.to_string(),
        )
        .await;
    assert_eq!(answer.code, 200, "{}", answer.text);
    answer.body
}

#[tokio::test]
async fn in_the_background_dependents_go_after_their_last_owner() {
    let client = Client::new().await;
    let one = owned(&client, "one", &[]).await;
    let two = owned(&client, "two", &[]).await;
    let child = owned(&client, "child", &[("one", &one, false)]).await;
    owned(&client, "grandchild", &[("child", &child, true)]).await;
    owned(
        &client,
        "shared",
        &[("one", &one, true), ("two", &two, true)],
    )
    .await;
    owned(&client, "free", &[]).await;
    delete(&client, "one", json!({})).await;
    client.gone(&at("child")).await;
    client.gone(&at("grandchild")).await;
    let shared = client
        .until(&at("shared"), |found| {
            found.body["metadata"]["ownerReferences"]
                .as_array()
                .map(Vec::len)
                == Some(1)
        })
        .await;
    assert_eq!(shared.body["metadata"]["ownerReferences"][0]["name"], "two");
    assert_eq!(client.get(&at("free")).await.code, 200);
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let client = Client::new().await;
    let owner = owned(&client, "owner", &[]).await;
    let child = owned(&client, "child", &[("owner", &owner, true)]).await;
    let mut leaf = config_map("leaf");
    leaf["metadata"]["finalizers"] = json!(["example.com/f"]);
    leaf["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "child", "uid": child, "blockOwnerDeletion": true}]);
    client.post(CMS, &leaf).await;
    let marked = delete(&client, "owner", json!({"propagationPolicy": "Foreground"})).await;
    assert_eq!(
        marked["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let terminating =
        |answer: &crate::client::Answer| answer.body["metadata"]["deletionTimestamp"].is_string();
    client.until(&at("leaf"), terminating).await;
    for name in ["child", "owner"] {
        assert!(terminating(&client.get(&at(name)).await), "{name}");
    }
    let free = json!({"metadata": {"finalizers": null}});
    client.patch(&at("leaf"), MERGE, &free).await;
    for name in ["leaf", "child", "owner"] {
        client.gone(&at(name)).await;
    }
}

#[tokio::test]
async fn orphans_lose_the_reference_and_stay() {
    let client = Client::new().await;
    for (name, options) in [
        ("new", json!({"propagationPolicy": "Orphan"})),
        ("old", json!({"orphanDependents": true})),
    ] {
        let uid = owned(&client, name, &[]).await;
        let child = format!("{name}-child");
        owned(&client, &child, &[(name, &uid, true)]).await;
        let marked = delete(&client, name, options).await;
        assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
        client.gone(&at(name)).await;
        let left = client.get(&at(&child)).await;
        assert_eq!(left.code, 200);
        assert!(
            left.body["metadata"]["ownerReferences"].is_null(),
            "{}",
            left.text
        );
    }
}

#[tokio::test]
async fn no_cascade_leaves_a_finalizer_where_nothing_depends() {
    let client = Client::new().await;
    for policy in ["Foreground", "Orphan", "Background"] {
        owned(&client, "alone", &[]).await;
        delete(&client, "alone", json!({"propagationPolicy": policy})).await;
        client.gone(&at("alone")).await;
    }
    // A definition and a namespace are held by finalizers of their own, too.
    client.widgets(sized()).await;
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
            .ask(
                "DELETE",
                path,
                &[("content-type", JSON)],
                options.to_string(),
            )
            .await;
        client.gone(path).await;
    }
}

#[tokio::test]
async fn circles_end() {
    let client = Client::new().await;
    let one = owned(&client, "one", &[]).await;
    let two = owned(&client, "two", &[("one", &one, true)]).await;
    let back = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "two", "uid": two, "blockOwnerDeletion": true}]}});
    assert_eq!(client.patch(&at("one"), MERGE, &back).await.code, 200);
    delete(&client, "one", json!({"propagationPolicy": "Foreground"})).await;
    client.gone(&at("one")).await;
    client.gone(&at("two")).await;
    // An object that owns itself.
    let own = owned(&client, "own", &[]).await;
    let itself = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": own, "blockOwnerDeletion": true}]}});
    assert_eq!(client.patch(&at("own"), MERGE, &itself).await.code, 200);
    delete(&client, "own", json!({"propagationPolicy": "Foreground"})).await;
    client.gone(&at("own")).await;
}

#[tokio::test]
async fn an_owner_that_nobody_here_can_judge_counts_as_there() {
    let client = Client::new().await;
    let mut body = config_map("pod-owned");
    body["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
    client.post(CMS, &body).await;
    // Another uid under the right name is another object: that owner is gone.
    owned(&client, "owner", &[]).await;
    owned(&client, "stale", &[("owner", "former-uid", false)]).await;
    client.gone(&at("stale")).await;
    assert_eq!(client.get(&at("pod-owned")).await.code, 200);
    assert_eq!(client.get(&at("owner")).await.code, 200);
}
