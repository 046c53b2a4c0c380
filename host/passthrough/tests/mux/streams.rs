//! What goes over an open stream, and how it ends.

use super::common::{Mux, drain, ready};
use futures::{SinkExt as _, StreamExt as _};
use rdd_core::{EngineError, ErrorCode, LogChunk, LogSource, ServingState, UnavailableReason};
use rdd_testkit::{FakeEngine, LogScript, eventually};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

fn logs(id: &str, query: &str) -> String {
    format!("/passthrough/engine/logs/{id}?{query}")
}

/// Lines of 100 bytes, in chunks as large as a backend makes them.
fn generated(total: u64) -> LogScript {
    LogScript {
        total,
        line: 100,
        chunk: LogChunk::MAX_LEN,
    }
}

async fn no_readers(mux: &Mux, id: &str) {
    eventually("the engine's side is closed", || async {
        match mux.engine.log_readers(id) {
            0 => Ok(()),
            readers => Err(format!("{readers} readers")),
        }
    })
    .await;
}

#[tokio::test]
async fn s2_bytes_are_passed_as_they_are() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    // Not UTF-8, no newline, a character cut in two.
    let parts: [&[u8]; 4] = [
        b"\xff\xfe\x00",
        b"caf\xc3",
        b"\xa9 no newline",
        b"\r\n\x1b[31m",
    ];
    for part in parts {
        mux.engine.write_log(&id, LogSource::Stdout, part.to_vec());
    }
    let mut socket = mux.connect(&logs(&id, "follow=false")).await.unwrap();
    let (bytes, close) = drain(&mut socket).await;
    assert_eq!(bytes, parts.concat());
    assert_eq!(close, Some((1000, "the log ended".to_owned())));
    no_readers(&mux, &id).await;
}

#[tokio::test]
async fn a_log_can_be_asked_for_with_a_trailing_slash() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    mux.engine.write_log(&id, LogSource::Stdout, "x\n");
    let mut socket = mux
        .connect(&format!("/passthrough/engine/logs/{id}/?follow=false"))
        .await
        .unwrap();
    assert_eq!(drain(&mut socket).await.0, b"x\n");
}

#[tokio::test]
async fn each_parameter_reaches_the_engine() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for line in ["one\n", "two\n", "three\n"] {
        mux.engine.write_log(&id, LogSource::Stdout, line);
    }
    mux.engine.write_log(&id, LogSource::Stderr, "oops\n");
    for (query, expected) in [
        ("tail=2", "three\noops\n"),
        ("tail=0", ""),
        ("stderr=false", "one\ntwo\nthree\n"),
        ("stdout=false", "oops\n"),
        ("stdout=false&tail=1", "oops\n"),
    ] {
        let mut socket = mux
            .connect(&logs(&id, &format!("follow=false&{query}")))
            .await
            .unwrap();
        let (bytes, _) = drain(&mut socket).await;
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_viewer_that_chose_it_sees_the_source_of_each_frame() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    mux.engine.write_log(&id, LogSource::Stdout, "out");
    mux.engine.write_log(&id, LogSource::Stderr, "err");
    let offered = [(
        "sec-websocket-protocol",
        "something.else, rdd.logs.v1+source",
    )];
    let mut socket = mux
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
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
    mux.engine.write_log(&id, LogSource::Stdout, "last words\n");
    mux.engine.end_log(&id);
    assert_eq!(
        drain(&mut socket).await,
        (
            b"last words\n".to_vec(),
            Some((1000, "the log ended".to_owned()))
        )
    );
}

#[tokio::test]
async fn s9_a_failing_engine_ends_the_stream_with_its_own_words() {
    let mux = Mux::start().await;
    for (code, expected) in [
        (ErrorCode::Unavailable, 1013),
        (ErrorCode::Timeout, 1013),
        (ErrorCode::Internal, 1011),
        (ErrorCode::PluginFailed, 1011),
        (ErrorCode::StreamFailed, 1011),
    ] {
        let id = mux.engine.run_container("web");
        let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
        let words = format!("engine broke {}", "é".repeat(100));
        mux.engine
            .break_log(&id, EngineError::new(code, words.clone()));
        let (_, close) = drain(&mut socket).await;
        let (code, reason) = close.unwrap();
        assert_eq!(code, expected);
        assert!(
            words.starts_with(&reason) && reason.len() <= 123 && reason.len() > 119,
            "{reason}"
        );
        no_readers(&mux, &id).await;
    }
}

#[tokio::test]
async fn s4_when_a_viewer_goes_away_the_engines_side_is_closed() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    // One closes in order, one just vanishes, one vanishes while bytes are under way to it.
    let mut polite = mux.connect(&logs(&id, "")).await.unwrap();
    assert_eq!(mux.engine.log_readers(&id), 1);
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "seen enough".into(),
    };
    polite.close(Some(frame)).await.unwrap();
    let (_, close) = drain(&mut polite).await;
    assert_eq!(close, Some((1001, "seen enough".to_owned())));
    no_readers(&mux, &id).await;
    let vanishing = mux.connect(&logs(&id, "")).await.unwrap();
    assert_eq!(mux.engine.log_readers(&id), 1);
    drop(vanishing);
    no_readers(&mux, &id).await;
    let loud = mux.engine.run_container("loud");
    mux.engine.generate_log(&loud, generated(u64::MAX));
    let mut socket = mux.connect(&logs(&loud, "")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    drop(socket);
    no_readers(&mux, &loud).await;
}

#[tokio::test]
async fn an_oversized_message_from_a_viewer_is_1009() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
    socket
        .send(Message::binary(
            vec![0; rdd_passthrough::limits::INBOUND_MESSAGE],
        ))
        .await
        .unwrap();
    socket
        .send(Message::binary(vec![
            0;
            rdd_passthrough::limits::INBOUND_MESSAGE
                + 1
        ]))
        .await
        .unwrap();
    assert_eq!(drain(&mut socket).await.1.unwrap().0, 1009);
    no_readers(&mux, &id).await;
}

#[tokio::test]
async fn a_drain_ends_every_stream_with_1001_and_takes_no_new_one() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(mux.connect(&logs(&id, "")).await.unwrap());
    }
    let passthrough = mux.passthrough.clone();
    let draining = tokio::spawn(async move { passthrough.drain().await });
    for socket in &mut sockets {
        assert_eq!(drain(socket).await.1.unwrap().0, 1001);
    }
    draining.await.unwrap();
    assert_eq!(
        mux.connect(&logs(&id, ""))
            .await
            .expect_err("draining")
            .status()
            .as_u16(),
        503
    );
    no_readers(&mux, &id).await;
}

#[tokio::test]
async fn stopping_the_app_ends_its_streams() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
    mux.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::Stopped)
    });
    let (_, close) = drain(&mut socket).await;
    assert_eq!(
        close,
        Some((1001, "the container engine was stopped".to_owned()))
    );
}

#[tokio::test]
async fn choosing_another_installed_backend_ends_the_streams_of_the_old_one() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
    let other = FakeEngine::named("containerd");
    // The snapshots may follow each other so fast that only the last is seen.
    mux.serving.send_replace(ready(&other));
    let (_, close) = drain(&mut socket).await;
    assert_eq!(close, Some((1001, "another backend was chosen".to_owned())));
    no_readers(&mux, &id).await;
    let id = other.run_container("web");
    mux.connect(&logs(&id, "")).await.unwrap();
}

#[tokio::test]
async fn a_backend_that_is_found_again_keeps_its_streams() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut socket = mux.connect(&logs(&id, "")).await.unwrap();
    mux.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::EngineUnreachable {
            reason: "one connection broke".to_owned(),
        });
    });
    mux.serving.send_replace(ready(&mux.engine));
    mux.engine.write_log(&id, LogSource::Stdout, "x\n");
    mux.engine.end_log(&id);
    assert_eq!(drain(&mut socket).await.0, b"x\n");
}

#[tokio::test]
async fn a_reader_that_stops_reading_holds_the_engine_back_and_loses_nothing() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("loud");
    let total = 64 * 1024 * 1024;
    mux.engine.generate_log(&id, generated(total));
    let mut slow = mux.connect(&logs(&id, "follow=false")).await.unwrap();
    let quick = mux.connect(&logs(&id, "follow=false")).await.unwrap();
    // The quick one is not held up by the slow one, which has not read a byte yet.
    let mut quick = quick;
    assert_eq!(drain(&mut quick).await.0.len() as u64, total);
    assert_eq!(
        mux.engine.log_readers(&id),
        1,
        "the slow one's stream still has more to give"
    );
    let (bytes, close) = drain(&mut slow).await;
    assert_eq!((bytes.len() as u64, close.unwrap().0), (total, 1000));
}

#[tokio::test]
async fn compression_is_declined() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for offered in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover, permessage-deflate",
    ] {
        let headers = [("sec-websocket-extensions", offered)];
        let (mut socket, response) = mux.upgrade(&logs(&id, ""), &headers).await.unwrap();
        // The library of this test takes any answer, so it is looked at here.
        assert_eq!(response.headers().get("sec-websocket-extensions"), None);
        mux.engine
            .write_log(&id, LogSource::Stdout, "x".repeat(10_000));
        assert_eq!(socket.next().await.unwrap().unwrap().len(), 10_000);
    }
}
