//! The messages of both formats, and the requests that are rejected.

use rdd_core::{OutputSource, Timestamp};
use serde_json::json;

use super::viewer::{EntryFormat, LogViewer, ReceivedMessage, texts};
use crate::common::{TestServer, ready};

const FORMATS: [EntryFormat; 2] = [EntryFormat::Json, EntryFormat::Binary];
const OUT: OutputSource = OutputSource::Stdout;
const ERR: OutputSource = OutputSource::Stderr;

fn path(id: &str, query: &str) -> String {
    format!("/passthrough/engine/logs/{id}?{query}")
}

#[tokio::test]
async fn both_formats_have_every_detail_of_an_entry() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let at = |seconds, nanoseconds| Timestamp::new(seconds, nanoseconds).unwrap();
    server
        .engine
        .write_log_at(&id, at(1_700_000_000, 5), OUT, &b"plain\n"[..]);
    server
        .engine
        .write_log_at(&id, at(-1, 0), ERR, &b"\xff\xfe\n"[..]);
    server
        .engine
        .write_log_at(&id, at(1_700_000_001, 0), OUT, &b"par"[..]);
    server
        .engine
        .write_log_at(&id, at(1_700_000_001, 0), OUT, &b"\n"[..]);
    let content = |entry: &super::viewer::ReceivedEntry| {
        let bytes = entry.bytes.clone();
        (entry.time, entry.is_stderr, bytes, entry.is_partial)
    };
    for format in FORMATS {
        let mut viewer = LogViewer::open(&server, &path(&id, "follow=false"), format).await;
        let (entries, _) = viewer.entries().await;
        let found: Vec<_> = entries.iter().map(content).collect();
        assert_eq!(
            found,
            [
                (1_700_000_000_000_000_005, false, b"plain".to_vec(), false),
                (-1_000_000_000, true, b"\xff\xfe".to_vec(), false),
                (1_700_000_001_000_000_000, false, b"par".to_vec(), true),
                (1_700_000_001_000_000_000, false, b"".to_vec(), false),
            ]
        );
        assert_eq!(
            viewer.other("end").await,
            json!({"reason": "the log ended"})
        );
        let ReceivedMessage::Close(code, reason) = viewer.next().await else {
            panic!("the close frame follows");
        };
        assert_eq!((code, &*reason), (1000, "the log ended"));
    }
}

#[tokio::test]
async fn a_selection_of_sources_and_lines_applies_to_entries() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for number in 0..6 {
        let source = if number % 2 == 0 { OUT } else { ERR };
        server.engine.write_log(&id, source, format!("{number}\n"));
    }
    for follow in ["true", "false"] {
        for (query, expected) in [
            ("", &["0", "1", "2", "3", "4", "5"][..]),
            ("tail=2", &["4", "5"]),
            ("tail=100", &["0", "1", "2", "3", "4", "5"]),
            ("stdout=false", &["1", "3", "5"]),
            // The engine counts the lines of both sources.
            ("stderr=false&tail=3", &["4"]),
        ] {
            let path = path(&id, &format!("follow={follow}&{query}"));
            let mut viewer = LogViewer::open(&server, &path, EntryFormat::Json).await;
            let mut found = Vec::new();
            while found.len() < expected.len() {
                let (entries, _) = viewer.entries().await;
                found.extend(texts(&entries));
            }
            assert_eq!(found, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn a_quiet_log_has_a_first_cursor_at_once() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut cursors = Vec::new();
    for lines in 0..3 {
        for (query, format) in [("tail=0", FORMATS[0]), ("tail=0&follow=false", FORMATS[1])] {
            let mut viewer = LogViewer::open(&server, &path(&id, query), format).await;
            let (entries, cursor) = viewer.entries().await;
            assert_eq!(entries, [], "{lines} {query}");
            cursors.push((lines, cursor));
        }
        server.engine.write_log(&id, OUT, format!("{lines}\n"));
    }
    for (lines, cursor) in cursors {
        let query = format!("follow=false&cursor={cursor}");
        let mut viewer = LogViewer::open(&server, &path(&id, &query), FORMATS[0]).await;
        let (entries, _) = viewer.read_to_end().await;
        let expected: Vec<_> = (lines..3).map(|number| number.to_string()).collect();
        assert_eq!(texts(&entries), expected);
    }
}

#[tokio::test]
async fn the_first_subprotocol_that_the_client_offers_is_selected() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for (offered, selected) in [
        ("rdd.logs.v1+json, rdd.logs.v1+raw", "rdd.logs.v1+json"),
        ("rdd.logs.v1+raw, rdd.logs.v1+json", "rdd.logs.v1+raw"),
        ("other, rdd.logs.v1+binary", "rdd.logs.v1+binary"),
        ("rdd.logs.v1+source,rdd.logs.v1+raw", "rdd.logs.v1+source"),
    ] {
        let header = [("sec-websocket-protocol", offered)];
        let (_, response) = server.upgrade(&path(&id, ""), &header).await.unwrap();
        assert_eq!(
            response.headers()["sec-websocket-protocol"],
            selected,
            "{offered}"
        );
    }
}

#[tokio::test]
async fn a_request_that_contradicts_itself_is_rejected() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let other = server.run_indexed("other");
    server.engine.write_log(&id, OUT, &b"one\n"[..]);
    let mut viewer = LogViewer::open(&server, &path(&id, ""), EntryFormat::Json).await;
    let (_, cursor) = viewer.entries().await;
    let json = [("sec-websocket-protocol", "rdd.logs.v1+json")];
    for (id, query, named) in [
        (&id, "timestamps=true".to_owned(), "timestamps"),
        (&id, format!("cursor={cursor}&tail=1"), "tail"),
        (&id, format!("cursor={cursor}&since=1m"), "since"),
        (&id, format!("cursor={cursor}&stdout=false"), "cursor"),
        (&id, "cursor=abc".to_owned(), "cursor"),
        (&other, format!("cursor={cursor}"), "another container"),
        (&id, "follow=maybe".to_owned(), "restart"),
    ] {
        let response = server
            .connect_with(&path(id, &query), &json)
            .await
            .unwrap_err();
        assert_eq!(response.status(), 400, "{query}");
        let body = String::from_utf8(response.body().clone().unwrap()).unwrap();
        assert!(body.contains(named), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_backend_without_times_has_no_entries() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut info = rdd_core::ContainerEngine::info(&server.engine).clone();
    info.capabilities.entry_times = false;
    let engine = rdd_testkit::FakeEngine::with_info(info);
    server.serving.send_replace(ready(&engine));
    for format in FORMATS {
        let header = [("sec-websocket-protocol", format.subprotocol())];
        let response = server
            .connect_with(&path(&id, ""), &header)
            .await
            .unwrap_err();
        assert_eq!(response.status(), 501);
    }
}

#[tokio::test]
async fn an_error_of_the_engine_is_told_before_the_close_frame() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut viewer = LogViewer::open(&server, &path(&id, "tail=0"), EntryFormat::Binary).await;
    viewer.entries().await;
    server.engine.cut_streams();
    let end = viewer.other("end").await;
    assert_eq!(end, json!({"reason": "the log was disconnected"}));
    let ReceivedMessage::Close(code, _) = viewer.next().await else {
        panic!("the close frame follows");
    };
    assert_eq!(code, 1013);
}

#[tokio::test]
async fn a_daemon_that_ends_says_so() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    let mut viewer = LogViewer::open(&server, &path(&id, "tail=0"), EntryFormat::Json).await;
    viewer.entries().await;
    let passthrough = server.passthrough.clone();
    let shutdown = tokio::spawn(async move { passthrough.shutdown().await });
    let end = viewer.other("end").await;
    assert_eq!(end, json!({"reason": "the daemon is shutting down"}));
    assert!(matches!(
        viewer.next().await,
        ReceivedMessage::Close(1001, _)
    ));
    drop(viewer);
    shutdown.await.unwrap();
    assert_eq!(server.engine.log_readers(&id), 0);
}

#[tokio::test]
async fn entries_that_are_long_as_json_are_divided_and_complete() {
    let server = TestServer::start().await;
    let id = server.run_indexed("web");
    for _ in 0..10_000 {
        server.engine.write_log(&id, OUT, &b"\n"[..]);
    }
    // Each byte takes six.
    let controls = vec![1; 64 * 1024];
    server
        .engine
        .write_log(&id, OUT, [&controls[..], b"\n"].concat());
    server.engine.write_log(&id, ERR, vec![0xff; 64 * 1024]);
    for format in FORMATS {
        let mut viewer = LogViewer::open(&server, &path(&id, "follow=false"), format).await;
        let (entries, cursor) = viewer.read_to_end().await;
        assert_eq!(entries.len(), 10_002, "{format:?}");
        assert_eq!(entries[10_000].bytes, controls);
        assert_eq!(entries[10_001].bytes.len(), 64 * 1024);
        let query = format!("follow=false&cursor={}", cursor.unwrap());
        let mut viewer = LogViewer::open(&server, &path(&id, &query), format).await;
        assert_eq!(viewer.read_to_end().await.0, []);
    }
}
