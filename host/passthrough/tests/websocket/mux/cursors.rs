//! Cursors of the logs of many containers.

use rdd_testkit::eventually;
use serde_json::json;

use super::{MuxClient, MuxMessage, OUT, labeled};
use crate::common::TestServer;

#[tokio::test]
async fn cursors_may_come_before_their_subscription_in_several_messages() {
    let server = TestServer::start().await;
    let mut client = MuxClient::open(&server).await;
    let ids = ["one", "two"].map(|name| labeled(&server, name, &[("app", "x")]));
    for id in &ids {
        server.engine.write_log(id, OUT, &b"first\n"[..]);
        let subscribe = json!({"op": "subscribe", "id": 1, "container": id, "credit": 100});
        client.send(subscribe).await;
        client.event("subscribed").await;
        let source = client.event("joined").await["source"].clone();
        let (texts, cursor) = client.texts(&source, 1).await;
        assert_eq!(texts, ["first"]);
        client.send(json!({"op": "unsubscribe", "id": 1})).await;
        client.event("end").await;
        server.engine.write_log(id, OUT, &b"second\n"[..]);
        client
            .send(json!({"op": "cursors", "id": 2, "cursors": {&**id: cursor}}))
            .await;
    }
    let subscribe = json!({"op": "subscribe", "id": 2, "selector": "app=x", "credit": 100});
    client.send(subscribe).await;
    client.event("subscribed").await;
    for _ in &ids {
        client.event("joined").await;
    }
    for _ in &ids {
        let MuxMessage::Data { texts, .. } = client.next().await else {
            panic!("entries follow");
        };
        assert_eq!(texts, ["second"]);
    }

    client
        .send(json!({"op": "cursors", "id": 2, "cursors": {}}))
        .await;
    let error = client.event("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(2), &json!(409)));
    for name in 0..=512 {
        let cursors = json!({name.to_string(): "x"});
        client
            .send(json!({"op": "cursors", "id": 3, "cursors": cursors}))
            .await;
    }
    let error = client.event("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(3), &json!(429)));
    // A subscription that ends before it begins has no cursors.
    client.send(json!({"op": "unsubscribe", "id": 3})).await;
    client
        .send(json!({"op": "cursors", "id": 4, "cursors": {"a": "x"}}))
        .await;
    client
        .send(json!({"op": "subscribe", "id": 4, "container": ids[0]}))
        .await;
    assert_eq!(client.event("error").await["code"], 400);
}

#[tokio::test]
async fn a_cursor_names_its_container_by_the_object_or_by_the_id() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.index_container("ctr-web", server.engine.container(&id).unwrap());
    server.engine.write_log(&id, OUT, &b"first\n"[..]);
    let mut client = MuxClient::open(&server).await;
    let subscribe = json!({"op": "subscribe", "id": 1, "container": "ctr-web", "credit": 100});
    client.send(subscribe.clone()).await;
    client.event("subscribed").await;
    let source = client.event("joined").await["source"].clone();
    let (texts, cursor) = client.texts(&source, 1).await;
    assert_eq!(texts, ["first"]);
    server.engine.write_log(&id, OUT, &b"second\n"[..]);
    for name in ["ctr-web", &id] {
        client.send(json!({"op": "unsubscribe", "id": 1})).await;
        while !matches!(client.next().await, MuxMessage::Event(event) if event["type"] == "end") {}
        let mut resume = subscribe.clone();
        resume["cursors"] = json!({name: cursor});
        client.send(resume).await;
        client.event("subscribed").await;
        let source = client.event("joined").await["source"].clone();
        assert_eq!(client.texts(&source, 1).await.0, ["second"], "{name}");
    }
}

#[tokio::test]
async fn the_last_lines_are_those_of_the_subscription_however_late_the_credit_comes() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut written: Vec<_> = (0..700).map(|number| number.to_string()).collect();
    for line in &written {
        server.engine.write_log(&id, OUT, format!("{line}\n"));
    }
    for tail in [0, 1, 500, 511] {
        let mut client = MuxClient::open(&server).await;
        client
            .send(json!({"op": "subscribe", "id": 1, "container": id, "tail": tail}))
            .await;
        client.event("subscribed").await;
        let source = client.event("joined").await["source"].clone();
        // Another one that is read shows that the log was opened.
        client
            .send(json!({"op": "subscribe", "id": 2, "container": id, "tail": 1, "credit": 1}))
            .await;
        client.event("subscribed").await;
        let other = client.event("joined").await["source"].clone();
        let (last, _) = client.texts(&other, 1).await;
        assert_eq!(last.last(), written.last());
        client.send(json!({"op": "unsubscribe", "id": 2})).await;
        client.event("end").await;
        let expected = written.split_off(written.len() - tail);
        // The shared stream keeps none of the lines that were there.
        written = (0..400)
            .map(|number| format!("{tail} {number} {}", "x".repeat(1_000)))
            .collect();
        for line in &written {
            server.engine.write_log(&id, OUT, format!("{line}\n"));
        }
        client
            .send(json!({"op": "credit", "id": 1, "bytes": 4_000_000_000_u32}))
            .await;
        let (lines, _) = client.texts(&source, tail + 400).await;
        assert_eq!(lines, [expected, written.clone()].concat(), "{tail}");
        drop(client);
        eventually("the log is closed", || async {
            match server.engine.log_readers(&id) {
                0 => Ok(()),
                count => Err(count.to_string()),
            }
        })
        .await;
        for line in (0..400).map(|number| format!("short {number}")) {
            server.engine.write_log(&id, OUT, format!("{line}\n"));
            written.push(line);
        }
    }
}
