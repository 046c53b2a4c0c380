//! The content of a stream, and how it ends.

use super::common::{TestServer, read_to_close, ready};
use futures::{SinkExt as _, StreamExt as _};
use rdd_core::{
    EngineError, ErrorCode, OutputChunk, OutputSource, ServingState, UnavailableReason,
};
use rdd_testkit::{FakeEngine, LogScript, eventually};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

fn logs(id: &str, query: &str) -> String {
    format!("/passthrough/engine/logs/{id}?{query}")
}

/// Lines of 100 bytes, in chunks of the maximum size.
fn generated(total: u64) -> LogScript {
    LogScript {
        total,
        line: 100,
        chunk: OutputChunk::MAX_LEN,
    }
}

async fn wait_for_no_readers(server: &TestServer, id: &str) {
    eventually("the engine's stream is closed", || async {
        match server.engine.log_readers(id) {
            0 => Ok(()),
            readers => Err(format!("{readers} readers")),
        }
    })
    .await;
}

/// The name of the mirror of a container in another namespace than the default.
const MIRROR: &str = "ctr-0000000000000000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn bytes_are_forwarded_unchanged() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    // Not UTF-8, no newline, and a character split in two.
    let parts: [&[u8]; 4] = [
        b"\xff\xfe\x00",
        b"caf\xc3",
        b"\xa9 no newline",
        b"\r\n\x1b[31m",
    ];
    for part in parts {
        server
            .engine
            .write_log(&id, OutputSource::Stdout, part.to_vec());
    }
    let mut socket = server.connect(&logs(&id, "follow=false")).await.unwrap();
    let (bytes, close) = read_to_close(&mut socket).await;
    assert_eq!(bytes, parts.concat());
    assert_eq!(close, Some((1000, "the log ended".to_owned())));
    wait_for_no_readers(&server, &id).await;
}

#[tokio::test]
async fn the_namespace_selects_one_of_two_containers_with_equal_ids() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.engine.write_log(&id, OutputSource::Stdout, "moby\n");
    let shop = server.engine.in_namespace("shop");
    shop.create_container_with("web", |container| container.id.clone_from(&id));
    shop.write_log(&id, OutputSource::Stdout, "shop\n");
    for (query, expected) in [
        ("follow=false", "moby\n"),
        ("follow=false&namespace=moby", "moby\n"),
        ("follow=false&namespace=shop", "shop\n"),
    ] {
        let mut socket = server.connect(&logs(&id, query)).await.unwrap();
        let (bytes, _) = read_to_close(&mut socket).await;
        assert_eq!(bytes, expected.as_bytes(), "{query}");
    }
}

#[tokio::test]
async fn the_name_of_a_mirror_and_an_unambiguous_id_lead_to_a_container() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let shop = server.engine.in_namespace("shop");
    shop.create_container_with("web", |container| container.id.clone_from(&id));
    shop.write_log(&id, OutputSource::Stdout, "shop\n");
    server.index(MIRROR, "shop", &id);
    for text in [MIRROR, &id] {
        let mut socket = server.connect(&logs(text, "follow=false")).await.unwrap();
        let (bytes, _) = read_to_close(&mut socket).await;
        assert_eq!(bytes, b"shop\n", "{text}");
    }
    // The default namespace's mirror has the ID as its name.
    server.engine.write_log(&id, OutputSource::Stdout, "moby\n");
    server.index(&id, "moby", &id);
    let mut socket = server.connect(&logs(&id, "follow=false")).await.unwrap();
    assert_eq!(read_to_close(&mut socket).await.0, b"moby\n");
}

#[tokio::test]
async fn a_log_can_be_requested_with_a_trailing_slash() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.engine.write_log(&id, OutputSource::Stdout, "x\n");
    let mut socket = server
        .connect(&format!("/passthrough/engine/logs/{id}/?follow=false"))
        .await
        .unwrap();
    assert_eq!(read_to_close(&mut socket).await.0, b"x\n");
}

#[tokio::test]
async fn each_parameter_reaches_the_engine() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for line in ["one\n", "two\n", "three\n"] {
        server.engine.write_log(&id, OutputSource::Stdout, line);
    }
    server.engine.write_log(&id, OutputSource::Stderr, "oops\n");
    for (query, expected) in [
        ("tail=2", "three\noops\n"),
        ("tail=0", ""),
        ("stderr=false", "one\ntwo\nthree\n"),
        ("stdout=false", "oops\n"),
        ("stdout=false&tail=1", "oops\n"),
    ] {
        let mut socket = server
            .connect(&logs(&id, &format!("follow=false&{query}")))
            .await
            .unwrap();
        let (bytes, _) = read_to_close(&mut socket).await;
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_client_can_select_frames_with_their_source() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.engine.write_log(&id, OutputSource::Stdout, "out");
    server.engine.write_log(&id, OutputSource::Stderr, "err");
    let offered = [(
        "sec-websocket-protocol",
        "something.else, rdd.logs.v1+source",
    )];
    let mut socket = server
        .connect_with(&logs(&id, "follow=false"), &offered)
        .await
        .unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(frame) = message {
            match frame[0] {
                1 => out.extend_from_slice(&frame[1..]),
                2 => err.extend_from_slice(&frame[1..]),
                other => panic!("source {other}"),
            }
        }
    }
    assert_eq!((out.as_slice(), err.as_slice()), (&b"out"[..], &b"err"[..]));
}

#[tokio::test]
async fn a_followed_log_ends_with_1000_when_the_container_stops() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut socket = server.connect(&logs(&id, "")).await.unwrap();
    server
        .engine
        .write_log(&id, OutputSource::Stdout, "last words\n");
    server.engine.end_log(&id);
    assert_eq!(
        read_to_close(&mut socket).await,
        (
            b"last words\n".to_vec(),
            Some((1000, "the log ended".to_owned()))
        )
    );
}

#[tokio::test]
async fn a_failing_engine_ends_the_stream_with_its_message() {
    let server = TestServer::start().await;
    for (code, expected) in [
        (ErrorCode::Unavailable, 1013),
        (ErrorCode::Timeout, 1013),
        (ErrorCode::Internal, 1011),
        (ErrorCode::PluginFailed, 1011),
        (ErrorCode::StreamFailed, 1011),
    ] {
        let id = server.engine.run_container("web");
        let mut socket = server.connect(&logs(&id, "")).await.unwrap();
        let words = format!("engine broke {}", "é".repeat(100));
        server
            .engine
            .break_log(&id, EngineError::new(code, words.clone()));
        let (_, close) = read_to_close(&mut socket).await;
        let (code, reason) = close.unwrap();
        assert_eq!(code, expected);
        assert!(
            words.starts_with(&reason) && reason.len() <= 123 && reason.len() > 119,
            "{reason}"
        );
        wait_for_no_readers(&server, &id).await;
    }
}

#[tokio::test]
async fn the_engines_stream_is_closed_when_the_client_disconnects() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    // One client closes gracefully, one vanishes, and one vanishes with bytes in
    // flight.
    let mut polite = server.connect(&logs(&id, "")).await.unwrap();
    assert_eq!(server.engine.log_readers(&id), 1);
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "seen enough".into(),
    };
    polite.close(Some(frame)).await.unwrap();
    let (_, close) = read_to_close(&mut polite).await;
    assert_eq!(close, Some((1001, "seen enough".to_owned())));
    wait_for_no_readers(&server, &id).await;
    let vanishing = server.connect(&logs(&id, "")).await.unwrap();
    assert_eq!(server.engine.log_readers(&id), 1);
    drop(vanishing);
    wait_for_no_readers(&server, &id).await;
    let loud = server.engine.run_container("loud");
    server.engine.generate_log(&loud, generated(u64::MAX));
    let mut socket = server.connect(&logs(&loud, "")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    drop(socket);
    wait_for_no_readers(&server, &loud).await;
}

#[tokio::test]
async fn an_oversized_message_from_a_client_is_1009() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut socket = server.connect(&logs(&id, "")).await.unwrap();
    socket
        .send(Message::binary(
            vec![0; rdd_passthrough::limits::MAX_INBOUND_MESSAGE],
        ))
        .await
        .unwrap();
    socket
        .send(Message::binary(vec![
            0;
            rdd_passthrough::limits::MAX_INBOUND_MESSAGE
                + 1
        ]))
        .await
        .unwrap();
    assert_eq!(read_to_close(&mut socket).await.1.unwrap().0, 1009);
    wait_for_no_readers(&server, &id).await;
}

#[tokio::test]
async fn a_shutdown_ends_every_stream_with_1001_and_rejects_new_ones() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(server.connect(&logs(&id, "")).await.unwrap());
    }
    let passthrough = server.passthrough.clone();
    let draining = tokio::spawn(async move { passthrough.shutdown().await });
    for socket in &mut sockets {
        assert_eq!(read_to_close(socket).await.1.unwrap().0, 1001);
    }
    draining.await.unwrap();
    assert_eq!(
        server
            .connect(&logs(&id, ""))
            .await
            .expect_err("shutting down")
            .status()
            .as_u16(),
        503
    );
    wait_for_no_readers(&server, &id).await;
}

#[tokio::test]
async fn stopping_the_app_ends_its_streams() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut socket = server.connect(&logs(&id, "")).await.unwrap();
    server.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::Stopped)
    });
    let (_, close) = read_to_close(&mut socket).await;
    assert_eq!(
        close,
        Some((1001, "the container engine was stopped".to_owned()))
    );
}

#[tokio::test]
async fn selecting_another_installed_backend_ends_the_streams_of_the_old_one() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut socket = server.connect(&logs(&id, "")).await.unwrap();
    let other = FakeEngine::named("containerd");
    // Only the last of several quick snapshots may be seen.
    server.serving.send_replace(ready(&other));
    let (_, close) = read_to_close(&mut socket).await;
    assert_eq!(
        close,
        Some((1001, "another backend was selected".to_owned()))
    );
    wait_for_no_readers(&server, &id).await;
    let id = other.run_container("web");
    server.connect(&logs(&id, "")).await.unwrap();
}

#[tokio::test]
async fn a_backend_that_reconnects_keeps_its_streams() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut socket = server.connect(&logs(&id, "")).await.unwrap();
    server.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::EngineUnreachable {
            reason: "one connection broke".to_owned(),
        });
    });
    server.serving.send_replace(ready(&server.engine));
    server.engine.write_log(&id, OutputSource::Stdout, "x\n");
    server.engine.end_log(&id);
    assert_eq!(read_to_close(&mut socket).await.0, b"x\n");
}

#[tokio::test]
async fn a_reader_that_stops_reading_throttles_the_engine_and_loses_nothing() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("loud");
    let total = 64 * 1024 * 1024;
    server.engine.generate_log(&id, generated(total));
    let mut slow = server.connect(&logs(&id, "follow=false")).await.unwrap();
    let quick = server.connect(&logs(&id, "follow=false")).await.unwrap();
    // The slow one, which has not read a byte yet, does not block the quick one.
    let mut quick = quick;
    assert_eq!(read_to_close(&mut quick).await.0.len() as u64, total);
    assert_eq!(
        server.engine.log_readers(&id),
        1,
        "the slow one's stream has not ended"
    );
    let (bytes, close) = read_to_close(&mut slow).await;
    assert_eq!((bytes.len() as u64, close.unwrap().0), (total, 1000));
}

#[tokio::test]
async fn compression_is_declined() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for offered in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover, permessage-deflate",
    ] {
        let headers = [("sec-websocket-extensions", offered)];
        let (mut socket, response) = server.upgrade(&logs(&id, ""), &headers).await.unwrap();
        // The client library accepts any answer, so the test checks it.
        assert_eq!(response.headers().get("sec-websocket-extensions"), None);
        server
            .engine
            .write_log(&id, OutputSource::Stdout, "x".repeat(10_000));
        assert_eq!(socket.next().await.unwrap().unwrap().len(), 10_000);
    }
}
