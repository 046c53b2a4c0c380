//! Which writes are accepted, and what clients get after them.

use serde_json::{Value, json};

use super::{LEASES, ROLES};
use crate::client::{
    CONFIG_MAPS, DEFINITIONS, MERGE, TestClient, WIDGETS, sized_version, widget_definition,
};

#[tokio::test]
async fn an_empty_list_of_rules_is_none() {
    let client = TestClient::new().await;
    let role = |rules: Value| json!({"metadata": {"name": "r"}, "rules": rules});
    let made = client.post(ROLES, &role(json!([]))).await;
    assert_eq!(made.body["rules"], Value::Null);
    let path = format!("{ROLES}/r");
    for rules in [json!([]), Value::Null] {
        let written = client.put(&path, &role(rules)).await;
        assert_eq!(
            written.body["metadata"]["resourceVersion"],
            made.body["metadata"]["resourceVersion"]
        );
    }
}

#[tokio::test]
async fn a_deleted_collection_is_returned_as_it_was_listed() {
    let client = TestClient::new().await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/a"]}});
    let made = [
        client.post(CONFIG_MAPS, &held).await,
        client
            .post(CONFIG_MAPS, &json!({"metadata": {"name": "plain"}}))
            .await,
    ];
    let deleted = client.delete(CONFIG_MAPS).await;
    for (index, made) in made.iter().enumerate() {
        assert_eq!(
            deleted.body["items"][index]["metadata"],
            made.body["metadata"]
        );
    }
    let left = client.get(CONFIG_MAPS).await;
    let left = left.body["items"].as_array().map(Vec::len);
    assert_eq!(left, Some(1), "the finalizer holds one");
}

#[tokio::test]
async fn namespaces_have_no_label_of_their_namespace() {
    let client = TestClient::new().await;
    let path = "/api/v1/namespaces?fieldSelector=metadata.namespace%3Dx";
    let refused = client.get(path).await;
    assert_eq!(refused.code, 400);
    assert_eq!(
        refused.body["message"],
        "field label not supported: metadata.namespace"
    );
}

#[tokio::test]
async fn an_update_that_ends_a_deletion_is_not_seen_by_watchers() {
    let client = TestClient::new().await;
    let object = |finalizers: &[&str], value: &str| json!({"metadata": {"name": "a", "finalizers": finalizers}, "data": {"k": value}});
    let held = object(&["example.com/a"], "before");
    client.post(CONFIG_MAPS, &held).await;
    let path = format!("{CONFIG_MAPS}/a");
    client.delete(&path).await;
    let mut watch = client.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    assert_eq!(watch.next_type_and_name().await.0, "ADDED");
    let last = client.put(&path, &object(&[], "after")).await;
    assert_eq!(last.body["data"]["k"], "after", "{}", last.text);
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["data"]["k"], "before");
    assert_eq!(
        event["object"]["metadata"]["finalizers"],
        held["metadata"]["finalizers"]
    );
}

#[tokio::test]
async fn an_update_of_a_lease_needs_its_version() {
    let client = TestClient::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let path = format!("{LEASES}/l");
    let made = client.put(&path, &lease).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let refused = client.put(&path, &lease).await;
    assert_eq!(refused.reason(), (422, "Invalid"));
    assert_eq!(
        refused.body["message"],
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    assert_eq!(client.put(&path, &made.body).await.code, 200);
}

#[tokio::test]
async fn an_update_creates_a_role() {
    let client = TestClient::new().await;
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
    let path = format!("{ROLES}/r");
    assert_eq!(client.put(&path, &role).await.code, 201);
    assert_eq!(client.put(&path, &role).await.code, 200);
}

#[tokio::test]
async fn a_deprecated_version_names_its_replacement() {
    let client = TestClient::new().await;
    let old = |mut version: Value, name: &str| {
        version["name"] = name.into();
        version["served"] = true.into();
        version["storage"] = false.into();
        version["deprecated"] = true.into();
        version
    };
    let mut definition = widget_definition(sized_version());
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    versions.push(old(sized_version(), "v1beta1"));
    versions.push(old(sized_version(), "v2"));
    let made = client.post(DEFINITIONS, &definition).await;
    assert_eq!(made.code, 201, "{}", made.text);
    for (version, remedy) in [("v1beta1", "; use example.com/v1 Widget"), ("v2", "")] {
        let path = WIDGETS.replace("/v1/", &format!("/{version}/"));
        let listed = client
            .wait_until(&path, |response| response.code == 200)
            .await;
        assert_eq!(
            listed.warnings(),
            [format!(
                "299 - \"example.com/{version} Widget is deprecated{remedy}\""
            )]
        );
    }
}

#[tokio::test]
async fn names_that_are_not_taken_are_accepted() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let mut other = widget_definition(sized_version());
    other["metadata"]["name"] = "others.example.com".into();
    other["spec"]["names"] = json!({"plural": "others", "kind": "Widget", "categories": ["all"]});
    client.post(DEFINITIONS, &other).await;
    let path = format!("{DEFINITIONS}/others.example.com");
    let status = client
        .wait_until(&path, |response| {
            response.body.pointer("/status/conditions/0/status") == Some(&json!("False"))
        })
        .await
        .body["status"]
        .take();
    assert_eq!(status["conditions"][0]["reason"], "ListKindConflict");
    assert_eq!(
        status["conditions"][0]["message"],
        "\"WidgetList\" is already in use"
    );
    assert_eq!(
        status["acceptedNames"],
        json!({"plural": "others", "kind": "", "categories": ["all"]})
    );
}

#[tokio::test]
async fn an_update_of_a_definition_does_not_check_its_name_again() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let refused = client
        .patch(
            &path,
            MERGE,
            &json!({"spec": {"group": "other.example.com"}}),
        )
        .await;
    let fields: Vec<&Value> = refused.body["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(fields, ["spec.group"]);
}
