//! Which containers a subscription has, and when it ends.

use std::collections::BTreeMap;

use rdd_testkit::eventually;
use serde_json::{Value, json};

use super::{MuxClient, MuxMessage, OUT, PATH, PATIENCE, labeled};
use crate::common::TestServer;

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
async fn the_subprotocol_is_required() {
    let server = TestServer::start().await;
    let response = server.connect(PATH).await.unwrap_err();
    assert_eq!(response.status(), 400);
    let body = String::from_utf8(response.body().clone().unwrap()).unwrap();
    assert!(body.contains("rdd.logs-mux.v1"), "{body}");
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
