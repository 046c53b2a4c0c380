//! The end of a namespace.

use serde_json::{Value, json};

use crate::client::{CRDS, Client, MERGE, WIDGETS, config_map, sized, widget};

const X: &str = "/api/v1/namespaces/x";
const CMS: &str = "/api/v1/namespaces/x/configmaps";

async fn namespace(client: &Client) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
    assert_eq!(client.post("/api/v1/namespaces", &body).await.code, 201);
}

fn held(name: &str) -> Value {
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
async fn a_namespace_goes_with_everything_in_it() {
    let client = Client::new().await;
    namespace(&client).await;
    client.widgets(sized()).await;
    for name in ["a", "b", "c"] {
        assert_eq!(client.post(CMS, &config_map(name)).await.code, 201);
    }
    let widgets = "/apis/example.com/v1/namespaces/x/widgets";
    assert_eq!(
        client.post(widgets, &widget("w", json!({}))).await.code,
        201
    );
    let marked = client.delete(X).await;
    assert_eq!(marked.body["status"]["phase"], "Terminating");
    assert_eq!(marked.body["spec"]["finalizers"], json!(["kubernetes"]));
    client.gone(X).await;
    // Made again, it is empty: nothing was left behind.
    namespace(&client).await;
    for path in [CMS, widgets] {
        assert!(client.get(path).await.names().is_empty(), "{path}");
    }
    assert_eq!(
        client.delete("/api/v1/namespaces/default").await.reason(),
        (403, "Forbidden")
    );
}

#[tokio::test]
async fn a_terminating_namespace_says_what_it_waits_for_and_takes_nothing_new() {
    let client = Client::new().await;
    namespace(&client).await;
    client.post(CMS, &held("a")).await;
    client.post(CMS, &config_map("b")).await;
    client.delete(X).await;
    let waiting = client
        .until(X, |found| {
            condition(&found.body, "NamespaceContentRemaining")["status"] == "True"
        })
        .await;
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
    client.gone(&format!("{CMS}/b")).await;
    let refused = client.post(CMS, &config_map("late")).await;
    assert_eq!(refused.reason(), (403, "Forbidden"));
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    let change = json!({"data": {"k": "2"}});
    let a = format!("{CMS}/a");
    assert_eq!(client.patch(&a, MERGE, &change).await.code, 200);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(client.patch(&a, MERGE, &free).await.code, 200);
    client.gone(X).await;
}

#[tokio::test]
async fn a_finalizer_of_somebody_else_keeps_the_namespace() {
    let client = Client::new().await;
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"},
        "spec": {"finalizers": ["example.com/mine"]}});
    assert_eq!(client.post("/api/v1/namespaces", &body).await.code, 201);
    client.delete(X).await;
    let mut left = client
        .until(X, |found| {
            found.body["spec"]["finalizers"] == json!(["example.com/mine"])
        })
        .await;
    left.body["spec"]["finalizers"] = json!([]);
    let finalized = client.put(&format!("{X}/finalize"), &left.body).await;
    assert_eq!(finalized.code, 200, "{}", finalized.text);
    client.gone(X).await;
}

/// Creates race with the deletion: each either fails or goes with the
/// namespace. Without the guard some stay behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_slips_into_a_namespace_that_ends() {
    let client = Client::new().await;
    for round in 0..20 {
        namespace(&client).await;
        let creates: Vec<_> = (0..16)
            .map(|index| {
                let client = client.clone();
                tokio::spawn(async move {
                    for more in 0..4 {
                        let body = config_map(&format!("r{round}-{index}-{more}"));
                        client.post(CMS, &body).await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        client.delete(X).await;
        for create in creates {
            create.await.unwrap();
        }
        client.gone(X).await;
        let left = client.get("/api/v1/configmaps").await;
        assert!(left.names().is_empty(), "round {round}: {:?}", left.names());
    }
}

/// The same of a definition: made again, it has no objects of the former one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_slips_into_a_kind_that_ends() {
    let client = Client::new().await;
    let definition = format!("{CRDS}/widgets.example.com");
    for round in 0..10 {
        client.widgets(sized()).await;
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
        client.gone(&definition).await;
        client.widgets(sized()).await;
        let left = client.get(WIDGETS).await;
        assert!(left.names().is_empty(), "round {round}: {:?}", left.names());
        client.delete(&definition).await;
        client.gone(&definition).await;
    }
}
