use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use http_body_util::BodyExt as _;
use rdd_apiserver::{ApiServer, ApiServerOptions};
use serde_json::json;

use crate::client::{CMS, Client, MERGE, config_map};

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_shows_what_exists_and_then_what_happens() {
    let client = Client::new().await;
    client.post(CMS, &config_map("a")).await;
    let mut watch = client.watch(&format!("{CMS}?watch=1")).await;
    assert_eq!(watch.code, 200);
    assert_eq!(watch.brief().await, pair("ADDED", "a"));
    client.post(CMS, &config_map("b")).await;
    let changed = client
        .patch(&format!("{CMS}/b"), MERGE, &json!({"data": {"k": "2"}}))
        .await;
    client.delete(&format!("{CMS}/b")).await;
    assert_eq!(watch.brief().await, pair("ADDED", "b"));
    assert_eq!(watch.brief().await, pair("MODIFIED", "b"));
    let last = watch.next().await.unwrap();
    assert_eq!(last["type"], "DELETED");
    let revision: u64 = last["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        revision > changed.rv(),
        "a deleted object carries the revision of its deletion"
    );
}

#[tokio::test]
async fn a_change_of_the_match_is_an_arrival_or_a_departure() {
    let client = Client::new().await;
    let mut watch = client
        .watch(&format!("{CMS}?watch=1&labelSelector=on%3Dyes"))
        .await;
    let label = |value: &'static str| {
        let client = client.clone();
        async move {
            client
                .patch(
                    &format!("{CMS}/a"),
                    MERGE,
                    &json!({"metadata": {"labels": {"on": value}}}),
                )
                .await
        }
    };
    client.post(CMS, &config_map("a")).await;
    label("yes").await;
    assert_eq!(watch.brief().await, pair("ADDED", "a"));
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
    assert_eq!(watch.brief().await, pair("ADDED", "a"));
}

#[tokio::test]
async fn revisions_that_are_gone_or_to_come_are_expired() {
    let client = Client::new().await;
    for revision in ["1", "9223372036854775807"] {
        let mut watch = client
            .watch(&format!("{CMS}?watch=1&resourceVersion={revision}"))
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
async fn bookmarks_and_the_end_come_in_time() {
    let client = Client::new().await;
    client.post(CMS, &config_map("a")).await;
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=25";
    let mut watch = client.watch(&format!("{CMS}?{query}")).await;
    assert_eq!(watch.brief().await, pair("ADDED", "a"));
    let end = watch.next().await.unwrap();
    assert_eq!(
        (
            &end["type"],
            &end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]
        ),
        (&json!("BOOKMARK"), &json!("true"))
    );
    // Somebody else's write moves the bookmark.
    let other = client
        .post(
            "/api/v1/namespaces/default/secrets",
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        )
        .await;
    // From here on nothing but the server's own timers is waited for.
    tokio::time::pause();
    let bookmark = watch.next().await.unwrap();
    assert_eq!(
        (
            &bookmark["type"],
            &bookmark["object"]["metadata"]["resourceVersion"]
        ),
        (
            &json!("BOOKMARK"),
            &other.body["metadata"]["resourceVersion"]
        )
    );
    assert_eq!(watch.next().await, None, "timeoutSeconds ends the watch");
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || ApiServer::open(ApiServerOptions::file(directory.path().join("db")));
    let client = Client(open().await.unwrap());
    let start = client.post(CMS, &config_map("a")).await.rv();
    client.post(CMS, &config_map("b")).await;
    let mut ending = client
        .watch(&format!("{CMS}?watch=1&resourceVersion={start}"))
        .await;
    assert_eq!(ending.brief().await, pair("ADDED", "b"));
    client.0.close().await;
    assert_eq!(ending.next().await, None, "closing ends watches");
    assert_eq!(
        client.post(CMS, &config_map("late")).await.reason(),
        (503, "ServiceUnavailable")
    );
    drop(client);
    let client = Client(open().await.unwrap());
    let mut again = client
        .watch(&format!("{CMS}?watch=1&resourceVersion={start}"))
        .await;
    assert_eq!(again.brief().await, pair("ADDED", "b"));
    client.delete(&format!("{CMS}/b")).await;
    assert_eq!(again.brief().await, pair("DELETED", "b"));
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    let client = Client::new().await;
    for query in [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan&resourceVersion=1",
        "continue=abc",
    ] {
        let answer = client.get(&format!("{CMS}?watch=1&{query}")).await;
        assert_eq!(answer.reason(), (422, "Invalid"), "{query}");
    }
}

#[tokio::test]
async fn a_watch_may_be_asked_for_that_never_ends() {
    let client = Client::new().await;
    for seconds in [i64::MAX, 1] {
        let path = format!("{CMS}?watch=true&timeoutSeconds={seconds}");
        assert_eq!(client.raw("GET", &path, &[], "").await.status(), 200);
    }
}

/// Whether a task was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_exists_and_does_not_match_is_passed_over_in_turns() {
    let client = Client::new().await;
    for index in 0..30 {
        let mut body = config_map(&format!("large-{index}"));
        body["data"]["text"] = "x".repeat(10_000).into();
        assert_eq!(client.post(CMS, &body).await.code, 201);
    }
    let path = format!("{CMS}?watch=true&labelSelector=no%3Done");
    let mut body = client.raw("GET", &path, &[], "").await.into_body();
    let mut frame = std::pin::pin!(body.frame());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let first = frame.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending());
    tokio::task::yield_now().await;
    assert!(woken.0.load(Ordering::SeqCst), "all of it was read at once");
}
