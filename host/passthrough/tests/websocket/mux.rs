//! Many containers on one socket.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use rdd_core::OutputSource;
use rdd_testkit::eventually;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::common::TestServer;
use crate::entries::viewer::{parse_binary_entries, texts};

const OUT: OutputSource = OutputSource::Stdout;
const PATH: &str = "/passthrough/engine/logs";
const PATIENCE: Duration = Duration::from_secs(20);

/// A message of the daemon.
#[derive(Debug)]
enum MuxMessage {
    Data {
        id: u32,
        source: u32,
        texts: Vec<String>,
        cursor: String,
    },
    Event(Value),
}

struct MuxClient(WebSocketStream<TcpStream>);

impl MuxClient {
    async fn open(server: &TestServer) -> Self {
        let header = [("sec-websocket-protocol", "rdd.logs-mux.v1")];
        Self(server.connect_with(PATH, &header).await.unwrap())
    }

    async fn send(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    async fn next(&mut self) -> MuxMessage {
        // Pings come anyway, so they must not extend the time.
        let limit = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(limit, self.0.next()).await;
            match next.expect("a message arrives").unwrap().unwrap() {
                Message::Text(text) => {
                    return MuxMessage::Event(serde_json::from_str(&text).unwrap());
                }
                Message::Binary(bytes) => {
                    let number = |at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                    let (entries, cursor) = parse_binary_entries(&bytes[8..]);
                    return MuxMessage::Data {
                        id: number(0),
                        source: number(4),
                        texts: texts(&entries),
                        cursor,
                    };
                }
                _ => {}
            }
        }
    }

    /// Returns the next message, which has to be text of this type.
    async fn event(&mut self, kind: &str) -> Value {
        match self.next().await {
            MuxMessage::Event(value) if value["type"] == kind => value,
            other => panic!("{kind}: {other:?}"),
        }
    }

    /// Reads entries until a source has this many. Returns them, and the cursor.
    async fn texts(&mut self, of: &Value, count: usize) -> (Vec<String>, String) {
        let (mut all, mut last) = (Vec::new(), String::new());
        while all.len() < count {
            match self.next().await {
                MuxMessage::Data {
                    source,
                    texts,
                    cursor,
                    ..
                } if json!(source) == *of => {
                    all.extend(texts);
                    last = cursor;
                }
                other => panic!("{other:?}"),
            }
        }
        (all, last)
    }
}

fn labeled(server: &TestServer, name: &str, labels: &[(&str, &str)]) -> String {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let labels: BTreeMap<_, _> = labels.iter().map(owned).collect();
    let id = server.run_indexed(name);
    server
        .engine
        .edit_container(&id, |container| container.labels = labels);
    server.index_container(&id, server.engine.container(&id).unwrap());
    id
}

#[tokio::test]
async fn containers_are_subscribed_by_name_label_and_project() {
    let server = TestServer::start().await;
    let web = labeled(
        &server,
        "web",
        &[("tier", "front"), ("com.docker.compose.project", "shop")],
    );
    let db = labeled(&server, "db", &[("com.docker.compose.project", "shop")]);
    server.engine.write_log(&web, OUT, &b"hello\n"[..]);
    let mut client = MuxClient::open(&server).await;
    for (id, selection, expected) in [
        (1, json!({"container": web}), vec![&web]),
        (2, json!({"selector": "tier=front"}), vec![&web]),
        (3, json!({"project": "shop"}), vec![&web, &db]),
    ] {
        let mut message = selection;
        message["op"] = json!("subscribe");
        message["id"] = json!(id);
        message["unknown"] = json!(1);
        client.send(message).await;
        assert_eq!(client.event("subscribed").await["id"], id);
        let mut joined = BTreeMap::new();
        for _ in &expected {
            let event = client.event("joined").await;
            assert_eq!(event["id"], id);
            joined.insert(event["container"].as_str().unwrap().to_owned(), event);
        }
        for container in expected {
            let event = &joined[container];
            let name = if *container == web { "web" } else { "db" };
            assert_eq!(event["name"], name);
            assert_eq!(event["labels"]["com.docker.compose.project"], "shop");
        }
    }
    // Credit opens the log.
    client
        .send(json!({"op": "credit", "id": 2, "bytes": 100}))
        .await;
    let MuxMessage::Data { id, texts, .. } = client.next().await else {
        panic!("entries follow the credit");
    };
    assert_eq!((id, texts), (2, vec!["hello".to_owned()]));
}

#[tokio::test]
async fn containers_that_come_and_go_join_and_leave() {
    let server = TestServer::start().await;
    let mut client = MuxClient::open(&server).await;
    let subscribe = json!({"op": "subscribe", "id": 7, "selector": "app=x", "credit": 10_000});
    client.send(subscribe).await;
    client.event("subscribed").await;

    let id = labeled(&server, "one", &[("app", "x")]);
    let source = client.event("joined").await["source"].clone();
    server.engine.write_log(&id, OUT, &b"first\n"[..]);
    // The cursor of the empty log may come first.
    assert_eq!(client.texts(&source, 1).await.0, ["first"]);
    server.stop_indexed(&id);
    let left = client.event("left").await;
    assert_eq!(
        (&left["source"], &left["reason"]),
        (&source, &json!("the log ended"))
    );

    // Written before the next run is seen.
    server.engine.write_log(&id, OUT, &b"second\n"[..]);
    server.start_indexed(&id);
    let again = client.event("joined").await["source"].clone();
    assert_ne!(again, source);
    assert_eq!(client.texts(&again, 1).await.0, ["second"]);

    server.containers.send_modify(|index| index.remove(&id));
    server.engine.remove_container(&id);
    client.event("left").await;
    client.send(json!({"op": "unsubscribe", "id": 7})).await;
    assert_eq!(client.event("end").await["id"], 7);
}

#[tokio::test]
async fn credit_is_spent_by_bytes_and_overdrawn_by_one_entry() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for number in 0..6 {
        server
            .engine
            .write_log(&id, OUT, format!("{number}{}\n", "x".repeat(9)));
    }
    server.engine.write_log(&id, OUT, &b"\n\n\n"[..]);
    let mut client = MuxClient::open(&server).await;
    client
        .send(json!({"op": "subscribe", "id": 1, "container": id, "credit": 15}))
        .await;
    client.event("subscribed").await;
    let source = client.event("joined").await["source"].clone();
    let (entries, cursor) = client.texts(&source, 2).await;
    assert_eq!(
        entries.len(),
        2,
        "15 bytes pay for one entry, and for a part of the next"
    );
    // The debt of 5 is carried: 10 more bytes leave 5.
    client
        .send(json!({"op": "credit", "id": 1, "bytes": 5}))
        .await;
    client
        .send(json!({"op": "credit", "id": 1, "bytes": 5}))
        .await;
    let (entries, _) = client.texts(&source, 1).await;
    assert_eq!(entries, ["2xxxxxxxxx"]);
    client
        .send(json!({"op": "credit", "id": 99, "bytes": 5}))
        .await;

    // A cursor within a batch resumes exactly there.
    let path = format!("{PATH}/{id}?follow=false&cursor={cursor}");
    let mut single = crate::entries::viewer::LogViewer::open(
        &server,
        &path,
        crate::entries::viewer::EntryFormat::Json,
    )
    .await;
    let (entries, _) = single.read_to_end().await;
    assert_eq!(&texts(&entries)[..2], ["2xxxxxxxxx", "3xxxxxxxxx"]);
}

#[tokio::test]
async fn a_subscription_without_credit_delays_nobody_and_loses_nothing() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut client = MuxClient::open(&server).await;
    client
        .send(json!({"op": "subscribe", "id": 1, "container": id, "tail": 0}))
        .await;
    client.event("subscribed").await;
    let paused = client.event("joined").await["source"].clone();
    client
        .send(json!({"op": "subscribe", "id": 2, "container": id, "credit": 4_000_000_000_u32}))
        .await;
    client.event("subscribed").await;
    let running = client.event("joined").await["source"].clone();
    let mut count = 0;
    for number in 0..3_000 {
        server
            .engine
            .write_log(&id, OUT, format!("{number} {}\n", "x".repeat(1_000)));
        if number % 20 == 0 {
            count += client.texts(&running, number + 1 - count).await.0.len();
        }
    }
    client.texts(&running, 3_000 - count).await;
    client
        .send(json!({"op": "credit", "id": 1, "bytes": 4_000_000_000_u32}))
        .await;
    let (entries, _) = client.texts(&paused, 3_000).await;
    for (number, entry) in entries.iter().enumerate() {
        assert!(entry.starts_with(&format!("{number} ")), "{number}");
    }
}

#[tokio::test]
async fn logs_that_are_not_followed_end_the_subscription() {
    let server = TestServer::start().await;
    for name in ["a", "b"] {
        let id = labeled(&server, name, &[("app", "x")]);
        server.engine.write_log(&id, OUT, format!("{name}\n"));
    }
    let mut client = MuxClient::open(&server).await;
    client
        .send(
            json!({"op": "subscribe", "id": 3, "selector": "app=x", "follow": false, "credit": 99}),
        )
        .await;
    client.event("subscribed").await;
    client.event("joined").await;
    client.event("joined").await;
    let (mut lines, mut left) = (Vec::new(), 0);
    loop {
        match client.next().await {
            MuxMessage::Data { texts, .. } => lines.extend(texts),
            MuxMessage::Event(event) if event["type"] == "left" => left += 1,
            MuxMessage::Event(event) => {
                assert_eq!(event, json!({"type": "end", "id": 3}));
                break;
            }
        }
    }
    lines.sort();
    assert_eq!((lines, left), (vec!["a".to_owned(), "b".to_owned()], 2));
}

#[tokio::test]
async fn errors_name_their_subscription_and_leave_the_others_alone() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut client = MuxClient::open(&server).await;
    let subscribe = json!({"op": "subscribe", "id": 1, "container": id, "credit": 1000});
    client.send(subscribe.clone()).await;
    client.event("subscribed").await;
    let source = client.event("joined").await["source"].clone();
    let absent = "0".repeat(64);
    for (message, id, code) in [
        (subscribe, json!(1), 409),
        (json!({"op": "subscribe", "id": 2}), json!(2), 400),
        (
            json!({"op": "subscribe", "id": 2, "container": "x", "project": "y"}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "container": "no such"}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "selector": "((("}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "container": id, "tail": -1}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "container": id, "follow": "maybe"}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "container": id, "since": "soon"}),
            json!(2),
            400,
        ),
        (
            json!({"op": "subscribe", "id": 2, "container": id, "cursors": {&*id: "x"}}),
            json!(2),
            400,
        ),
        (json!({"op": "fly", "id": 2}), Value::Null, 400),
        (json!([1]), Value::Null, 400),
        (
            json!({"op": "credit", "id": -1, "bytes": 1}),
            Value::Null,
            400,
        ),
    ] {
        client.send(message.clone()).await;
        // The first one may still have its first cursor to send.
        let error = loop {
            match client.next().await {
                MuxMessage::Data { texts, .. } if texts.is_empty() => {}
                MuxMessage::Event(event) => break event,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            (&error["type"], &error["id"], &error["code"]),
            (&json!("error"), &id, &json!(code)),
            "{message}: {error}"
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    client
        .send(json!({"op": "subscribe", "id": 5, "container": absent, "credit": 1}))
        .await;
    loop {
        if let MuxMessage::Event(event) = client.next().await
            && event["type"] == "error"
        {
            assert_eq!((&event["id"], &event["code"]), (&json!(5), &json!(404)));
            break;
        }
    }
    server.engine.write_log(&id, OUT, &b"alive\n"[..]);
    assert_eq!(client.texts(&source, 1).await.0, ["alive"]);
}

#[tokio::test]
async fn subscriptions_and_sources_are_limited() {
    let server = TestServer::start().await;
    for number in 0..8 {
        labeled(
            &server,
            &format!("c{number}"),
            &[("app", "x"), ("all", "y")],
        );
    }
    let other = labeled(&server, "other", &[("all", "y")]);
    let mut client = MuxClient::open(&server).await;
    let subscribe = |id, selector: &str| json!({"op": "subscribe", "id": id, "selector": selector});
    for id in 0..64 {
        client.send(subscribe(id, "app=x")).await;
        client.event("subscribed").await;
        for _ in 0..8 {
            client.event("joined").await;
        }
    }
    client
        .send(json!({"op": "cursors", "id": 64, "cursors": {&*other: "invalid"}}))
        .await;
    client.send(subscribe(64, "app=x")).await;
    let error = client.event("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(64), &json!(429)));
    client.send(json!({"op": "unsubscribe", "id": 0})).await;
    client.event("end").await;
    // Its cursors are gone, and nine sources would be one too many.
    client.send(subscribe(64, "all=y")).await;
    let error = client.event("error").await;
    assert_eq!((&error["id"], &error["code"]), (&json!(64), &json!(429)));
    client.send(subscribe(64, "app=x")).await;
    client.event("subscribed").await;
}

#[tokio::test]
async fn the_subprotocol_is_required() {
    let server = TestServer::start().await;
    let response = server.connect(PATH).await.unwrap_err();
    assert_eq!(response.status(), 400);
    let body = String::from_utf8(response.body().clone().unwrap()).unwrap();
    assert!(body.contains("rdd.logs-mux.v1"), "{body}");
}

#[tokio::test]
async fn the_streams_of_the_engine_are_limited_for_all_connections_together() {
    let engine = rdd_testkit::FakeEngine::named("moby");
    let snapshot = crate::common::ready(&engine);
    let server = TestServer::start_limited(engine, snapshot, 2).await;
    let ids: Vec<_> = ["a", "b", "c"].map(|name| server.run_indexed(name)).into();
    let mut client = MuxClient::open(&server).await;
    for (number, id) in ids.iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        client
            .send(json!({"op": "subscribe", "id": number, "container": id, "credit": 10}))
            .await;
    }
    let (mut refused, mut opened) = (0, 0);
    while refused < 1 || opened < 2 {
        match client.next().await {
            // The first cursor of an empty log.
            MuxMessage::Data { .. } => opened += 1,
            MuxMessage::Event(event) if event["type"] == "error" => {
                assert_eq!(event["code"], 429, "{event}");
                refused += 1;
            }
            MuxMessage::Event(_) => {}
        }
    }
    // Two of the same container are one stream.
    client
        .send(json!({"op": "subscribe", "id": 9, "container": ids[0], "credit": 10}))
        .await;
    client.event("subscribed").await;
    client.event("joined").await;
    server.engine.write_log(&ids[0], OUT, &b"x\n"[..]);
    let mut received = 0;
    while received < 2 {
        match client.next().await {
            MuxMessage::Data { texts, .. } => received += texts.len(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn sources_come_back_after_the_engine_did_while_others_are_busy() {
    let server = TestServer::start().await;
    let id = labeled(&server, "one", &[("app", "x")]);
    let busy = labeled(&server, "two", &[("app", "y")]);
    server.engine.write_log(&id, OUT, &b"before\n"[..]);
    let mut client = MuxClient::open(&server).await;
    for (number, app) in [(1, "x"), (2, "y")] {
        let selector = format!("app={app}");
        let credit = 4_000_000_000_u32;
        client
            .send(json!({"op": "subscribe", "id": number, "selector": selector, "credit": credit}))
            .await;
    }
    let mut lines = Vec::new();
    let mut left = 0;
    let mut cuts = 0;
    let mut written = 0;
    let limit = tokio::time::Instant::now() + PATIENCE;
    while lines.len() < 3 {
        assert!(tokio::time::Instant::now() < limit, "only {lines:?} came");
        written += 1;
        server.engine.write_log(&busy, OUT, format!("{written}\n"));
        match client.next().await {
            MuxMessage::Data { id: 1, texts, .. } => lines.extend(texts),
            MuxMessage::Event(event) if event["type"] == "left" => left += 1,
            MuxMessage::Event(event) => assert_ne!(event["type"], "error", "{event}"),
            MuxMessage::Data { .. } => {}
        }
        if lines.len() > cuts && cuts < 2 {
            cuts += 1;
            server.engine.cut_streams();
            server.engine.write_log(&id, OUT, format!("after {cuts}\n"));
        }
    }
    assert_eq!(lines, ["before", "after 1", "after 2"]);
    assert!(left >= 2, "{left}");
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
async fn a_container_that_comes_later_is_read_from_its_beginning() {
    let server = TestServer::start().await;
    let mut client = MuxClient::open(&server).await;
    client
        .send(json!({"op": "subscribe", "id": 1, "selector": "app=x", "tail": 0, "credit": 100}))
        .await;
    client.event("subscribed").await;
    let id = server.engine.run_container("late");
    server.engine.write_log(&id, OUT, &b"early\n"[..]);
    let mut container = server.engine.container(&id).unwrap();
    container.labels.insert("app".to_owned(), "x".to_owned());
    server.index_container(&id, container);
    let source = client.event("joined").await["source"].clone();
    assert_eq!(client.texts(&source, 1).await.0, ["early"]);
}

#[tokio::test]
async fn the_labels_of_a_container_are_left_out_above_their_limit() {
    let server = TestServer::start().await;
    // The other bytes are those of the two keys, and of the other value.
    let longest = "v".repeat(64 * 1024 - "app".len() - "x".len() - "k".len());
    let mut client = MuxClient::open(&server).await;
    client
        .send(json!({"op": "subscribe", "id": 1, "selector": "app=x"}))
        .await;
    client.event("subscribed").await;
    labeled(&server, "longest", &[("app", "x"), ("k", &longest)]);
    assert_eq!(client.event("joined").await["labels"]["k"], longest);
    labeled(
        &server,
        "longer",
        &[("app", "x"), ("k", &format!("{longest}v"))],
    );
    let joined = client.event("joined").await;
    assert_eq!(
        (&joined["name"], &joined["labels"]),
        (&json!("longer"), &json!({}))
    );
}

#[tokio::test]
async fn an_ended_subscription_closes_its_streams() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    server.engine.write_log(&id, OUT, &b"x\n"[..]);
    let mut client = MuxClient::open(&server).await;
    client
        .send(json!({"op": "subscribe", "id": 1, "container": id, "credit": 100}))
        .await;
    client.event("subscribed").await;
    let source = client.event("joined").await["source"].clone();
    client.texts(&source, 1).await;
    client.send(json!({"op": "unsubscribe", "id": 1})).await;
    client.event("end").await;
    eventually("the log is closed", || async {
        match server.engine.log_readers(&id) {
            0 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
}
