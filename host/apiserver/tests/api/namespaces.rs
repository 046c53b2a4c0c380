//! The deletion of namespaces.

use serde_json::{Value, json};

use crate::client::{DEFINITIONS, MERGE, TestClient, WIDGETS, config_map, sized_version, widget};

const NAMESPACE: &str = "/api/v1/namespaces/x";
const CONFIG_MAPS: &str = "/api/v1/namespaces/x/configmaps";

async fn create_namespace(client: &TestClient) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
    assert_eq!(client.post("/api/v1/namespaces", &body).await.code, 201);
}

fn with_finalizer(name: &str) -> Value {
    let mut body = config_map(name);
    body["metadata"]["finalizers"] = json!(["example.com/f"]);
    body
}

fn condition<'a>(namespace: &'a Value, name: &str) -> &'a Value {
    namespace["status"]["conditions"]
        .as_array()
        .and_then(|list| list.iter().find(|condition| condition["type"] == name))
        .unwrap_or(&Value::Null)
}

#[tokio::test]
async fn a_namespace_is_deleted_with_its_content() {
    let client = TestClient::new().await;
    create_namespace(&client).await;
    client.define_widgets(sized_version()).await;
    for name in ["a", "b", "c"] {
        assert_eq!(client.post(CONFIG_MAPS, &config_map(name)).await.code, 201);
    }
    let widgets = "/apis/example.com/v1/namespaces/x/widgets";
    assert_eq!(
        client.post(widgets, &widget("w", json!({}))).await.code,
        201
    );
    let marked = client.delete(NAMESPACE).await;
    assert_eq!(marked.body["status"]["phase"], "Terminating");
    assert_eq!(marked.body["spec"]["finalizers"], json!(["kubernetes"]));
    client.wait_until_gone(NAMESPACE).await;
    // Created again, it is empty.
    create_namespace(&client).await;
    for path in [CONFIG_MAPS, widgets] {
        assert!(client.get(path).await.names().is_empty(), "{path}");
    }
    assert_eq!(
        client.delete("/api/v1/namespaces/default").await.reason(),
        (403, "Forbidden")
    );
}

#[tokio::test]
async fn a_terminating_namespace_reports_what_remains_and_accepts_no_creates() {
    let client = TestClient::new().await;
    create_namespace(&client).await;
    client.post(CONFIG_MAPS, &with_finalizer("a")).await;
    client.post(CONFIG_MAPS, &config_map("b")).await;
    client.delete(NAMESPACE).await;
    let waiting = client
        .wait_until(NAMESPACE, |found| {
            condition(&found.body, "NamespaceContentRemaining")["status"] == "True"
        })
        .await;
    assert_eq!(
        condition(&waiting.body, "NamespaceContentRemaining")["message"],
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    assert_eq!(
        condition(&waiting.body, "NamespaceContentRemaining")["reason"],
        "SomeResourcesRemain"
    );
    let finalizers = condition(&waiting.body, "NamespaceFinalizersRemaining");
    assert_eq!(finalizers["reason"], "SomeFinalizersRemain");
    assert!(
        finalizers["message"]
            .as_str()
            .unwrap()
            .contains("example.com/f")
    );
    client.wait_until_gone(&format!("{CONFIG_MAPS}/b")).await;
    let refused = client.post(CONFIG_MAPS, &config_map("late")).await;
    assert_eq!(refused.reason(), (403, "Forbidden"));
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    let change = json!({"data": {"k": "2"}});
    let a = format!("{CONFIG_MAPS}/a");
    assert_eq!(client.patch(&a, MERGE, &change).await.code, 200);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(client.patch(&a, MERGE, &free).await.code, 200);
    client.wait_until_gone(NAMESPACE).await;
}

#[tokio::test]
async fn a_foreign_finalizer_holds_the_namespace() {
    let client = TestClient::new().await;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"},
        "spec": {"finalizers": ["example.com/mine"]}});
    assert_eq!(client.post("/api/v1/namespaces", &body).await.code, 201);
    client.delete(NAMESPACE).await;
    let mut left = client
        .wait_until(NAMESPACE, |found| {
            found.body["spec"]["finalizers"] == json!(["example.com/mine"])
        })
        .await;
    left.body["spec"]["finalizers"] = json!([]);
    let finalized = client
        .put(&format!("{NAMESPACE}/finalize"), &left.body)
        .await;
    assert_eq!(finalized.code, 200, "{}", finalized.text);
    client.wait_until_gone(NAMESPACE).await;
}

/// Creates race with the deletion: each either fails or is deleted with the
/// namespace. Without the guard some objects remain.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_terminating_namespace_keeps_no_racing_creates() {
    let client = TestClient::new().await;
    for round in 0..20 {
        create_namespace(&client).await;
        let creates: Vec<_> = (0..16)
            .map(|index| {
                let client = client.clone();
                tokio::spawn(async move {
                    for more in 0..4 {
                        let body = config_map(&format!("r{round}-{index}-{more}"));
                        client.post(CONFIG_MAPS, &body).await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        client.delete(NAMESPACE).await;
        for create in creates {
            create.await.unwrap();
        }
        client.wait_until_gone(NAMESPACE).await;
        let left = client.get("/api/v1/configmaps").await;
        assert!(left.names().is_empty(), "round {round}: {:?}", left.names());
    }
}

/// The same for a definition: created again, it has no objects of the former one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_terminating_definition_keeps_no_racing_creates() {
    let client = TestClient::new().await;
    let definition = format!("{DEFINITIONS}/widgets.example.com");
    for round in 0..10 {
        client.define_widgets(sized_version()).await;
        let creates: Vec<_> = (0..16)
            .map(|index| {
                let client = client.clone();
                tokio::spawn(async move {
                    for more in 0..4 {
                        let body = widget(&format!("r{round}-{index}-{more}"), json!({}));
                        client.post(WIDGETS, &body).await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        client.delete(&definition).await;
        for create in creates {
            create.await.unwrap();
        }
        client.wait_until_gone(&definition).await;
        client.define_widgets(sized_version()).await;
        let left = client.get(WIDGETS).await;
        assert!(left.names().is_empty(), "round {round}: {:?}", left.names());
        client.delete(&definition).await;
        client.wait_until_gone(&definition).await;
    }
}
