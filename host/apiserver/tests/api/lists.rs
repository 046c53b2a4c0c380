use rdd_apiserver::{ApiServer, ApiServerOptions, HistoryLimits};
use rdd_testkit::{is_ready_without_blocking, with_one_blocking_thread};
use serde_json::json;

use crate::client::{CMS, Client, JSON, MERGE, WIDGETS, config_map, sized, widget};

async fn filled() -> Client {
    let client = Client::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        let mut body = config_map(name);
        body["metadata"]["labels"] = json!({"odd": (name < "c").to_string()});
        assert_eq!(client.post(CMS, &body).await.code, 201);
    }
    client
}

#[tokio::test]
async fn pages_are_one_consistent_list() {
    let client = filled().await;
    let first = client.get(&format!("{CMS}?limit=2")).await;
    assert_eq!(
        (first.names(), &first.body["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(3))
    );
    client.post(CMS, &config_map("bb")).await;
    client.delete(&format!("{CMS}/d")).await;
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let rest = client.get(&format!("{CMS}?limit=9&continue={token}")).await;
    assert_eq!(rest.names(), ["c", "d", "e"]);
    assert_eq!(rest.rv(), first.rv());
    assert_eq!(
        client
            .get(&format!("{CMS}?continue=rubbish"))
            .await
            .reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn an_expired_token_comes_with_one_that_goes_on() {
    let history = HistoryLimits {
        max_events: 4,
        keep_events: 2,
        ..HistoryLimits::default()
    };
    let options = ApiServerOptions {
        history,
        ..ApiServerOptions::in_memory()
    };
    let client = Client(ApiServer::open(options).await.unwrap());
    for name in ["a", "b", "c"] {
        client.post(CMS, &config_map(name)).await;
    }
    let first = client.get(&format!("{CMS}?limit=1")).await;
    let old = first.rv();
    for value in 0..20 {
        client
            .patch(
                &format!("{CMS}/c"),
                MERGE,
                &json!({"data": {"k": value.to_string()}}),
            )
            .await;
    }
    let token = first.body["metadata"]["continue"].as_str().unwrap();
    let expired = client.get(&format!("{CMS}?limit=1&continue={token}")).await;
    assert_eq!(expired.reason(), (410, "Expired"));
    let fresh = expired.body["metadata"]["continue"].as_str().unwrap();
    let rest = client.get(&format!("{CMS}?continue={fresh}")).await;
    assert_eq!(
        (rest.names(), &rest.body["items"][1]["data"]["k"]),
        (vec!["b", "c"], &json!("19"))
    );
    let mut watch = client
        .watch(&format!("{CMS}?watch=1&resourceVersion={old}"))
        .await;
    assert_eq!(watch.next().await.unwrap()["object"]["code"], 410);
}

#[tokio::test]
async fn a_list_is_as_old_as_was_asked_for() {
    let client = filled().await;
    let before = client.get(CMS).await.rv();
    client.post(CMS, &config_map("f")).await;
    let exact = client
        .get(&format!(
            "{CMS}?resourceVersion={before}&resourceVersionMatch=Exact"
        ))
        .await;
    assert_eq!((exact.names().len(), exact.rv()), (5, before));
    let newer = client
        .get(&format!(
            "{CMS}?resourceVersion={before}&resourceVersionMatch=NotOlderThan"
        ))
        .await;
    assert_eq!(newer.names().len(), 6);
    let future = client
        .get(&format!("{CMS}?resourceVersion={}", u64::MAX / 2))
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
                "{CMS}?resourceVersion=1&resourceVersionMatch=Exact"
            ))
            .await
            .reason(),
        (410, "Expired")
    );
    assert_eq!(
        client
            .get(&format!("{CMS}?resourceVersion=abc"))
            .await
            .reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn selectors_narrow_down() {
    let client = filled().await;
    for (selector, names) in [
        ("odd%3Dtrue", vec!["a", "b"]),
        ("odd!%3Dtrue", vec!["c", "d", "e"]),
        ("odd+in+(true,false)", vec!["a", "b", "c", "d", "e"]),
        ("!odd", vec![]),
    ] {
        assert_eq!(
            client
                .get(&format!("{CMS}?labelSelector={selector}"))
                .await
                .names(),
            names,
            "{selector}"
        );
    }
    assert_eq!(
        client
            .get(&format!("{CMS}?fieldSelector=metadata.name%3Dc"))
            .await
            .names(),
        ["c"]
    );
    for bad in ["labelSelector=odd+in", "fieldSelector=data.k%3D1"] {
        assert_eq!(
            client.get(&format!("{CMS}?{bad}")).await.reason(),
            (400, "BadRequest"),
            "{bad}"
        );
    }
    client.widgets(sized()).await;
    client.post(WIDGETS, &widget("red", json!({}))).await;
    client
        .post(WIDGETS, &widget("blue", json!({"colour": "blue"})))
        .await;
    assert_eq!(
        client
            .get(&format!("{WIDGETS}?fieldSelector=spec.colour%3Dred"))
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
        .delete(&format!("{CMS}?labelSelector=odd%3Dtrue"))
        .await;
    assert_eq!(deleted.names(), ["a", "b"]);
    assert_eq!(client.get(CMS).await.names(), ["c", "d", "e"]);
}

#[tokio::test]
async fn tables_and_metadata_alone_are_served_on_request() {
    let client = filled().await;
    let accept = |shape: &str| format!("application/json;as={shape};g=meta.k8s.io;v=v1");
    let table = client
        .ask("GET", CMS, &[("accept", &accept("Table"))], "")
        .await;
    assert_eq!(table.body["kind"], "Table");
    assert_eq!(table.body["rows"][0]["cells"][0], "a");
    let partial = client
        .ask(
            "GET",
            &format!("{CMS}/a"),
            &[("accept", &accept("PartialObjectMetadata"))],
            "",
        )
        .await;
    assert_eq!(
        (&partial.body["kind"], partial.body.get("data")),
        (&json!("PartialObjectMetadata"), None)
    );
    let neither = client.ask("GET", CMS, &[("accept", "image/png")], "").await;
    assert_eq!(neither.reason(), (406, "NotAcceptable"));
}

/// Whether a list is answered by the thread that asks for it.
async fn is_listed_at_once(client: &Client, headers: &[(&str, &str)]) -> bool {
    let list = client.raw("GET", CMS, headers, "");
    let (is_at_once, answer) = is_ready_without_blocking(list).await;
    assert_eq!(answer.status(), 200);
    is_at_once
}

#[test]
fn a_large_list_leaves_the_thread_that_serves_everybody() {
    with_one_blocking_thread(async {
        let client = Client::new().await;
        let forms = [
            ("accept", JSON),
            ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ];
        client.post(CMS, &config_map("small")).await;
        for form in forms {
            assert!(is_listed_at_once(&client, &[form]).await);
        }
        for index in 0..60 {
            let mut body = config_map(&format!("large-{index}"));
            body["data"]["text"] = "x".repeat(10_000).into();
            assert_eq!(client.post(CMS, &body).await.code, 201);
        }
        for form in forms {
            assert!(!is_listed_at_once(&client, &[form]).await);
        }
    });
}
