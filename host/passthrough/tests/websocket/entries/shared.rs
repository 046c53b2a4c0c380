//! Shared engine streams.

use rdd_core::OutputSource;
use rdd_testkit::eventually;

use super::viewer::{EntryFormat, LogViewer, texts};
use crate::common::TestServer;

const OUT: OutputSource = OutputSource::Stdout;

/// Waits until the engine has this number of open log streams.
async fn readers(server: &TestServer, id: &str, expected: usize) {
    eventually("the engine has the streams", || async {
        match server.engine.log_readers(id) {
            count if count == expected => Ok(()),
            count => Err(format!("{count} streams")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_hundred_viewers_of_a_container_are_one_engine_stream() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for number in 0..5 {
        server.engine.write_log(&id, OUT, format!("{number}\n"));
    }
    let path = format!("/passthrough/engine/logs/{id}?tail=2");
    let opened = (0..100).map(|_| LogViewer::open(&server, &path, EntryFormat::Binary));
    let mut viewers = futures::future::join_all(opened).await;
    for viewer in &mut viewers {
        let (entries, _) = viewer.entries().await;
        assert_eq!(texts(&entries), ["3", "4"]);
    }
    readers(&server, &id, 1).await;
    let calls = server
        .engine
        .call_count(rdd_testkit::EngineOperation::GetEntries);
    assert!(calls <= 2, "{calls} calls");
    // Each one is written during the pause after the one before.
    for number in 5..8 {
        server.engine.write_log(&id, OUT, format!("{number}\n"));
        for viewer in &mut viewers {
            let (entries, _) = viewer.entries().await;
            assert_eq!(texts(&entries), [number.to_string()]);
        }
    }
    // A stream that nobody views ends.
    drop(viewers);
    readers(&server, &id, 0).await;
}

#[tokio::test]
async fn viewers_of_bytes_share_the_engine_stream_too() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    server.engine.write_log(&id, OUT, &b"one\n"[..]);
    let path = format!("/passthrough/engine/logs/{id}");
    let mut typed = LogViewer::open(&server, &path, EntryFormat::Json).await;
    typed.entries().await;
    let mut raw = server.connect(&path).await.unwrap();
    server.engine.write_log(&id, OUT, &b"part"[..]);
    server
        .engine
        .write_log(&id, OutputSource::Stderr, &b"two\n"[..]);
    readers(&server, &id, 1).await;
    server.engine.end_log(&id);
    let (bytes, close) = crate::common::read_to_close(&mut raw).await;
    assert_eq!(String::from_utf8(bytes).unwrap(), "one\nparttwo\n");
    assert_eq!(close.unwrap().0, 1000);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_not_shared() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let path = format!("/passthrough/engine/logs/{id}");
    let header = [("sec-websocket-protocol", "rdd.logs.v1+json")];
    let error = rdd_core::EngineError::new(rdd_core::ErrorCode::Unsupported, "log driver none");
    let operation = rdd_testkit::EngineOperation::GetEntries;
    server.engine.fail_next(operation, None, error);
    let response = server.connect_with(&path, &header).await.unwrap_err();
    assert_eq!(response.status(), 501);
    // The next request asks the engine again.
    server.connect_with(&path, &header).await.unwrap();
}

#[tokio::test]
async fn a_long_log_meets_the_shared_stream() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for number in 0..3_000 {
        server.engine.write_log(&id, OUT, format!("{number}\n"));
    }
    let path = format!("/passthrough/engine/logs/{id}");
    // One in the shared stream, one at its edge, and two older than it.
    for (tail, first) in [
        ("tail=10", 2_990),
        ("tail=600", 2_400),
        ("tail=2000", 1_000),
        ("", 0),
    ] {
        let path = format!("{path}?{tail}");
        let mut viewer = LogViewer::open(&server, &path, EntryFormat::Binary).await;
        let mut found = Vec::new();
        while found.len() < 3_000 - first {
            found.extend(texts(&viewer.entries().await.0));
        }
        let expected: Vec<_> = (first..3_000).map(|number| number.to_string()).collect();
        assert_eq!(found, expected, "{tail}");
        readers(&server, &id, 1).await;
    }
}
