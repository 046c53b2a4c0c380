//! Lists: pages, revisions, selectors, and representations.

use rdd_apiserver::{ApiServer, ApiServerOptions, HistoryLimits};
use rdd_testkit::{is_ready_without_blocking, with_one_blocking_thread};
use serde_json::json;

use crate::client::{
    CONFIG_MAPS, JSON, MERGE, TestClient, WIDGETS, config_map, sized_version, widget,
};

async fn client_with_objects() -> TestClient {
    let client = TestClient::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        let mut body = config_map(name);
        body["metadata"]["labels"] = json!({"odd": (name < "c").to_string()});
        assert_eq!(client.post(CONFIG_MAPS, &body).await.code, 201);
    }
    client
}

#[tokio::test]
async fn all_pages_show_the_same_revision() {
    let client = client_with_objects().await;
    let first = client.get(&format!("{CONFIG_MAPS}?limit=2")).await;
    assert_eq!(
        (first.names(), &first.body["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(3))
    );
    client.post(CONFIG_MAPS, &config_map("bb")).await;
    client.delete(&format!("{CONFIG_MAPS}/d")).await;
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let rest = client
        .get(&format!("{CONFIG_MAPS}?limit=9&continue={token}"))
        .await;
    assert_eq!(rest.names(), ["c", "d", "e"]);
    assert_eq!(rest.resource_version(), first.resource_version());
    assert_eq!(
        client
            .get(&format!("{CONFIG_MAPS}?continue=rubbish"))
            .await
            .reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn an_expired_token_is_replaced_by_one_that_continues() {
    let history = HistoryLimits {
        max_events: 4,
        keep_events: 2,
        ..HistoryLimits::default()
    };
    let options = ApiServerOptions {
        history,
        ..ApiServerOptions::in_memory()
    };
    let client = TestClient(ApiServer::open(options).await.unwrap());
    for name in ["a", "b", "c"] {
        client.post(CONFIG_MAPS, &config_map(name)).await;
    }
    let first = client.get(&format!("{CONFIG_MAPS}?limit=1")).await;
    let old = first.resource_version();
    for value in 0..20 {
        client
            .patch(
                &format!("{CONFIG_MAPS}/c"),
                MERGE,
                &json!({"data": {"k": value.to_string()}}),
            )
            .await;
    }
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let expired = client
        .get(&format!("{CONFIG_MAPS}?limit=1&continue={token}"))
        .await;
    assert_eq!(expired.reason(), (410, "Expired"));
    let fresh = expired.body["metadata"]["continue"].as_str().unwrap();
    let rest = client.get(&format!("{CONFIG_MAPS}?continue={fresh}")).await;
    assert_eq!(
        (rest.names(), &rest.body["items"][1]["data"]["k"]),
        (vec!["b", "c"], &json!("19"))
    );
    let mut watch = client
        .watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={old}"))
        .await;
    assert_eq!(watch.next().await.unwrap()["object"]["code"], 410);
}

#[tokio::test]
async fn a_list_has_the_requested_revision() {
    let client = client_with_objects().await;
    let before = client.get(CONFIG_MAPS).await.resource_version();
    client.post(CONFIG_MAPS, &config_map("f")).await;
    let exact = client
        .get(&format!(
            "{CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=Exact"
        ))
        .await;
    assert_eq!((exact.names().len(), exact.resource_version()), (5, before));
    let newer = client
        .get(&format!(
            "{CONFIG_MAPS}?resourceVersion={before}&resourceVersionMatch=NotOlderThan"
        ))
        .await;
    assert_eq!(newer.names().len(), 6);
    let future = client
        .get(&format!("{CONFIG_MAPS}?resourceVersion={}", u64::MAX / 2))
        .await;
    assert_eq!(
        (future.reason(), future.headers.contains_key("retry-after")),
        ((504, "Timeout"), true)
    );
    assert_eq!(
        future.body["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    assert_eq!(
        client
            .get(&format!(
                "{CONFIG_MAPS}?resourceVersion=1&resourceVersionMatch=Exact"
            ))
            .await
            .reason(),
        (410, "Expired")
    );
    assert_eq!(
        client
            .get(&format!("{CONFIG_MAPS}?resourceVersion=abc"))
            .await
            .reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn selectors_filter_lists_and_collection_deletes() {
    let client = client_with_objects().await;
    for (selector, names) in [
        ("odd%3Dtrue", vec!["a", "b"]),
        ("odd!%3Dtrue", vec!["c", "d", "e"]),
        ("odd+in+(true,false)", vec!["a", "b", "c", "d", "e"]),
        ("!odd", vec![]),
    ] {
        assert_eq!(
            client
                .get(&format!("{CONFIG_MAPS}?labelSelector={selector}"))
                .await
                .names(),
            names,
            "{selector}"
        );
    }
    assert_eq!(
        client
            .get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Dc"))
            .await
            .names(),
        ["c"]
    );
    let odd_in = client
        .get(&format!("{CONFIG_MAPS}?labelSelector=odd+in"))
        .await;
    assert_eq!(odd_in.reason(), (400, "BadRequest"));
    for (collection, message) in [
        (
            CONFIG_MAPS,
            "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        (
            "/api/v1/namespaces/default/events",
            "field label not supported: spec.x",
        ),
    ] {
        let unknown = client
            .get(&format!("{collection}?fieldSelector=spec.x%3D1"))
            .await;
        assert_eq!(unknown.reason(), (400, "BadRequest"));
        assert_eq!(unknown.body["message"], message);
    }
    client.define_widgets(sized_version()).await;
    client.post(WIDGETS, &widget("red", json!({}))).await;
    client
        .post(WIDGETS, &widget("blue", json!({"color": "blue"})))
        .await;
    assert_eq!(
        client
            .get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred"))
            .await
            .names(),
        ["red"]
    );
    assert_eq!(
        client
            .get(&format!("{WIDGETS}?fieldSelector=spec.size%3D1"))
            .await
            .reason(),
        (400, "BadRequest")
    );
    let deleted = client
        .delete(&format!("{CONFIG_MAPS}?labelSelector=odd%3Dtrue"))
        .await;
    assert_eq!(deleted.names(), ["a", "b"]);
    assert_eq!(client.get(CONFIG_MAPS).await.names(), ["c", "d", "e"]);
}

#[tokio::test]
async fn tables_and_partial_metadata_are_served_on_request() {
    let client = client_with_objects().await;
    let accept = |shape: &str| format!("application/json;as={shape};g=meta.k8s.io;v=v1");
    let table = client
        .send("GET", CONFIG_MAPS, &[("accept", &accept("Table"))], "")
        .await;
    assert_eq!(table.body["kind"], "Table");
    assert_eq!(table.body["rows"][0]["cells"][0], "a");
    let partial = client
        .send(
            "GET",
            &format!("{CONFIG_MAPS}/a"),
            &[("accept", &accept("PartialObjectMetadata"))],
            "",
        )
        .await;
    assert_eq!(
        (&partial.body["kind"], partial.body.get("data")),
        (&json!("PartialObjectMetadata"), None)
    );
    let neither = client
        .send("GET", CONFIG_MAPS, &[("accept", "image/png")], "")
        .await;
    assert_eq!(neither.reason(), (406, "NotAcceptable"));
}

/// Returns whether a list is made on the thread of its request.
async fn is_listed_on_this_thread(client: &TestClient, headers: &[(&str, &str)]) -> bool {
    let list = client.send_raw("GET", CONFIG_MAPS, headers, "");
    let (is_at_once, response) = is_ready_without_blocking(list).await;
    assert_eq!(response.status(), 200);
    is_at_once
}

#[test]
fn a_large_list_is_made_on_a_blocking_thread() {
    with_one_blocking_thread(async {
        let client = TestClient::new().await;
        let formats = [
            ("accept", JSON),
            ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ];
        client.post(CONFIG_MAPS, &config_map("small")).await;
        for format in formats {
            assert!(is_listed_on_this_thread(&client, &[format]).await);
        }
        for index in 0..60 {
            let mut body = config_map(&format!("large-{index}"));
            body["data"]["text"] = "x".repeat(10_000).into();
            assert_eq!(client.post(CONFIG_MAPS, &body).await.code, 201);
        }
        for format in formats {
            assert!(!is_listed_on_this_thread(&client, &[format]).await);
        }
    });
}
