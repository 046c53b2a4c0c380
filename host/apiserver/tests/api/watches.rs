//! Watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use http_body_util::BodyExt as _;
use rdd_apiserver::{ApiServer, ApiServerOptions};
use serde_json::json;

use crate::client::{CONFIG_MAPS, MERGE, TestClient, config_map};

fn type_and_name(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_sends_existing_objects_and_then_events() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let mut watch = client.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    assert_eq!(watch.code, 200);
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "a")
    );
    client.post(CONFIG_MAPS, &config_map("b")).await;
    let changed = client
        .patch(
            &format!("{CONFIG_MAPS}/b"),
            MERGE,
            &json!({"data": {"k": "2"}}),
        )
        .await;
    client.delete(&format!("{CONFIG_MAPS}/b")).await;
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "b")
    );
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("MODIFIED", "b")
    );
    let last = watch.next().await.unwrap();
    assert_eq!(last["type"], "DELETED");
    let revision: u64 = last["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        revision > changed.resource_version(),
        "a deleted object carries the revision of its deletion"
    );
}

#[tokio::test]
async fn an_object_that_starts_or_stops_to_match_is_added_or_deleted() {
    let client = TestClient::new().await;
    let mut watch = client
        .watch(&format!("{CONFIG_MAPS}?watch=1&labelSelector=on%3Dyes"))
        .await;
    let label = |value: &'static str| {
        let client = client.clone();
        async move {
            client
                .patch(
                    &format!("{CONFIG_MAPS}/a"),
                    MERGE,
                    &json!({"metadata": {"labels": {"on": value}}}),
                )
                .await
        }
    };
    client.post(CONFIG_MAPS, &config_map("a")).await;
    label("yes").await;
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "a")
    );
    let left = label("no").await;
    let gone = watch.next().await.unwrap();
    assert_eq!(
        (&gone["type"], &gone["object"]["metadata"]["labels"]["on"]),
        (&json!("DELETED"), &json!("yes"))
    );
    assert_eq!(
        gone["object"]["metadata"]["resourceVersion"],
        left.body["metadata"]["resourceVersion"]
    );
    label("maybe").await;
    label("yes").await;
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "a")
    );
}

#[tokio::test]
async fn compacted_and_future_revisions_are_expired() {
    let client = TestClient::new().await;
    for revision in ["1", "9223372036854775807"] {
        let mut watch = client
            .watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={revision}"))
            .await;
        assert_eq!(watch.code, 200);
        let error = watch.next().await.unwrap();
        assert_eq!(
            (
                &error["type"],
                &error["object"]["code"],
                &error["object"]["reason"]
            ),
            (&json!("ERROR"), &json!(410), &json!("Expired"))
        );
        assert_eq!(watch.next().await, None);
    }
}

#[tokio::test]
async fn bookmarks_are_periodic_and_the_timeout_ends_the_watch() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=25";
    let mut watch = client.watch(&format!("{CONFIG_MAPS}?{query}")).await;
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "a")
    );
    let end = watch.next().await.unwrap();
    assert_eq!(
        (
            &end["type"],
            &end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]
        ),
        (&json!("BOOKMARK"), &json!("true"))
    );
    // A write to another resource advances the bookmark.
    let other = client
        .post(
            "/api/v1/namespaces/default/secrets",
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        )
        .await;
    // From here on the test waits for the server's timers only.
    tokio::time::pause();
    let revision = |object: &serde_json::Value| -> u64 {
        let text = object["metadata"]["resourceVersion"].as_str();
        text.unwrap().parse().unwrap()
    };
    let mut last = revision(&end["object"]);
    let mut count = 0;
    // The server's own controllers may write in between, which gives another one.
    while let Some(bookmark) = watch.next().await {
        assert_eq!(bookmark["type"], "BOOKMARK");
        assert!(revision(&bookmark["object"]) > last, "{bookmark}");
        last = revision(&bookmark["object"]);
        count += 1;
    }
    assert!(last >= revision(&other.body), "{last}");
    assert!((1..=2).contains(&count), "{count} in 25 s, one each 10 s");
}

#[tokio::test]
async fn a_watch_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || ApiServer::open(ApiServerOptions::file(directory.path().join("db")));
    let client = TestClient(open().await.unwrap());
    let start = client
        .post(CONFIG_MAPS, &config_map("a"))
        .await
        .resource_version();
    client.post(CONFIG_MAPS, &config_map("b")).await;
    let mut ending = client
        .watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={start}"))
        .await;
    assert_eq!(
        ending.next_type_and_name().await,
        type_and_name("ADDED", "b")
    );
    client.0.close().await;
    assert_eq!(ending.next().await, None, "closing ends watches");
    assert_eq!(
        client.post(CONFIG_MAPS, &config_map("late")).await.reason(),
        (503, "ServiceUnavailable")
    );
    drop(client);
    let client = TestClient(open().await.unwrap());
    let mut again = client
        .watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={start}"))
        .await;
    assert_eq!(
        again.next_type_and_name().await,
        type_and_name("ADDED", "b")
    );
    client.delete(&format!("{CONFIG_MAPS}/b")).await;
    assert_eq!(
        again.next_type_and_name().await,
        type_and_name("DELETED", "b")
    );
}

#[tokio::test]
async fn contradictory_options_are_refused() {
    let client = TestClient::new().await;
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan&resourceVersion=1",
        "continue=abc",
    ] {
        let response = client.get(&format!("{CONFIG_MAPS}?watch=1&{query}")).await;
        assert_eq!(response.reason(), (422, "Invalid"), "{query}");
    }
}

#[tokio::test]
async fn a_watch_may_have_any_timeout() {
    let client = TestClient::new().await;
    for seconds in [i64::MAX, 1] {
        let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds={seconds}");
        assert_eq!(client.send_raw("GET", &path, &[], "").await.status(), 200);
    }
}

/// Whether a task has been woken.
#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asserts that a watch that selects nothing of what there is does not look at all of it
/// at once.
async fn assert_yields(client: &TestClient, path: &str) {
    let mut body = client.send_raw("GET", path, &[], "").await.into_body();
    let mut frame = std::pin::pin!(body.frame());
    let woken = Arc::new(WakeFlag::default());
    let waker = Waker::from(woken.clone());
    let first = frame.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending());
    tokio::task::yield_now().await;
    assert!(
        woken.0.load(Ordering::SeqCst),
        "all was read without a yield"
    );
}

#[tokio::test]
async fn skipping_many_objects_yields_to_other_tasks() {
    let client = TestClient::new().await;
    for index in 0..30 {
        let mut body = config_map(&format!("large-{index}"));
        body["data"]["text"] = "x".repeat(10_000).into();
        assert_eq!(client.post(CONFIG_MAPS, &body).await.code, 201);
    }
    let path = format!("{CONFIG_MAPS}?watch=true&labelSelector=no%3Done");
    assert_yields(&client, &path).await;
}

#[tokio::test]
async fn skipping_many_events_yields_to_other_tasks() {
    let client = TestClient::new().await;
    let start = client.get(CONFIG_MAPS).await.resource_version();
    for index in 0..300 {
        let body = config_map(&format!("small-{index}"));
        assert_eq!(client.post(CONFIG_MAPS, &body).await.code, 201);
    }
    let path = format!("{CONFIG_MAPS}?watch=true&labelSelector=no%3Done&resourceVersion={start}");
    assert_yields(&client, &path).await;
}

#[tokio::test]
async fn events_that_wait_are_sent_in_one_chunk() {
    let client = TestClient::new().await;
    let start = client.get(CONFIG_MAPS).await.resource_version();
    for index in 0..100 {
        client
            .post(CONFIG_MAPS, &config_map(&format!("waiting-{index}")))
            .await;
    }
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={start}");
    let mut body = client.send_raw("GET", &path, &[], "").await.into_body();
    let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let lines: Vec<&[u8]> = chunk.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 100);
    for (index, line) in lines.into_iter().enumerate() {
        let event: serde_json::Value = serde_json::from_slice(line).unwrap();
        let name = format!("waiting-{index}");
        assert_eq!(event["object"]["metadata"]["name"], name.as_str());
    }
}

#[tokio::test]
async fn a_watch_ends_in_time_although_events_wait() {
    let client = TestClient::new().await;
    let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=25");
    let mut watch = client.watch(&path).await;
    client.post(CONFIG_MAPS, &config_map("first")).await;
    assert_eq!(
        watch.next_type_and_name().await,
        type_and_name("ADDED", "first")
    );
    client.post(CONFIG_MAPS, &config_map("late")).await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(26)).await;
    assert_eq!(watch.next().await, None);
}
