//! Credit, and the limits of a connection.

use serde_json::json;

use super::{MuxClient, MuxMessage, OUT, PATH, labeled};
use crate::common::TestServer;
use crate::entries::viewer::texts;

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
        .send(json!({"op": "subscribe", "id": 2, "container": id, "credit": u64::MAX}))
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
        .send(json!({"op": "credit", "id": 1, "bytes": 9_007_199_254_740_991_u64}))
        .await;
    let (entries, _) = client.texts(&paused, 3_000).await;
    for (number, entry) in entries.iter().enumerate() {
        assert!(entry.starts_with(&format!("{number} ")), "{number}");
    }
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
