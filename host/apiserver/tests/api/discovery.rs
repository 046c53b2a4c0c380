//! Discovery and OpenAPI.

use serde_json::json;

use crate::client::TestClient;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn aggregated_and_legacy_discovery_agree() {
    let client = TestClient::new().await;
    let list = client.get("/api/v1").await;
    let names: Vec<&str> = list.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    for name in [
        "namespaces",
        "namespaces/finalize",
        "configmaps",
        "secrets",
        "events",
        "serviceaccounts",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let aggregated = client
        .send("GET", "/api", &[("accept", AGGREGATED)], "")
        .await;
    assert_eq!(aggregated.headers["content-type"], AGGREGATED);
    let found: Vec<&str> = aggregated.body["items"][0]["versions"][0]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["resource"].as_str().unwrap())
        .collect();
    for name in names.iter().filter(|name| !name.contains('/')) {
        assert!(found.contains(name), "{name}");
    }
    let etag = aggregated.headers["etag"].to_str().unwrap();
    let again = client
        .send(
            "GET",
            "/api",
            &[("accept", AGGREGATED), ("if-none-match", etag)],
            "",
        )
        .await;
    assert_eq!((again.code, again.text.as_str()), (304, ""));
}

#[tokio::test]
async fn every_served_group_version_has_an_openapi_document() {
    let client = TestClient::new().await;
    let index = client.get("/openapi/v3").await;
    let paths = index.body["paths"].as_object().unwrap();
    for location in [
        "api/v1",
        "apis/apiextensions.k8s.io/v1",
        "apis/coordination.k8s.io/v1",
        "apis/events.k8s.io/v1",
    ] {
        let url = paths[location]["serverRelativeURL"].as_str().unwrap();
        let document = client.get(url).await;
        assert_eq!(
            (document.code, &document.body["openapi"]),
            (200, &json!("3.0.0")),
            "{location}"
        );
    }
}

#[tokio::test]
async fn the_old_openapi_document_describes_nothing_in_both_encodings() {
    let client = TestClient::new().await;
    let document = client.get("/openapi/v2").await;
    assert_eq!(
        (document.code, &document.body["swagger"]),
        (200, &json!("2.0"))
    );
    // What kubectl sends: the document is a message of gnostic.
    let requested = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let message = client
        .send(
            "GET",
            "/openapi/v2",
            &[("accept", requested)],
            String::new(),
        )
        .await;
    assert_eq!(message.code, 200);
    assert_eq!(
        message.headers["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    assert_eq!(
        message.text,
        "\n\u{3}2.0\u{12}\u{19}\n\nKubernetes\u{12}\u{b}unversioned"
    );
}

#[tokio::test]
async fn unknown_paths_are_refused_in_the_form_of_their_group() {
    let client = TestClient::new().await;
    assert_eq!(
        client.get("/api/v1/nopes").await.reason(),
        (404, "NotFound")
    );
    assert_eq!(
        client
            .get("/apis/coordination.k8s.io/v1/nopes")
            .await
            .reason(),
        (404, "NotFound")
    );
    for path in ["/apis/example.com/v1/nopes", "/apis/example.com", "/nope"] {
        assert_eq!(
            client.get(path).await.text,
            "404 page not found\n",
            "{path}"
        );
    }
    assert_eq!(client.get("/readyz").await.text, "ok");
    assert!(
        client.get("/version").await.body["gitVersion"]
            .as_str()
            .unwrap()
            .starts_with("v1.35.")
    );
}

/// `kubectl describe namespace` reads the first two, `kubectl cluster-info` the last.
#[tokio::test]
async fn quotas_limits_and_services_can_be_read_but_not_made() {
    let client = TestClient::new().await;
    for (plural, kind) in [
        ("resourcequotas", "ResourceQuota"),
        ("limitranges", "LimitRange"),
        ("services", "Service"),
    ] {
        let path = format!("/api/v1/namespaces/default/{plural}");
        let list = client.get(&path).await;
        assert_eq!(list.body["kind"], format!("{kind}List"));
        assert_eq!(list.names(), Vec::<&str>::new());
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
        assert_eq!(client.post(&path, &object).await.code, 405);
    }
}
