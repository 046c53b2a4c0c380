//! Streams that the client closes, or that are closed for an error of the
//! client.

use std::time::Duration;

use rdd_core::OutputChunk;
use rdd_passthrough::limits;
use rdd_testkit::{LogScript, eventually};
use tokio::time::Instant;

use super::common::TestServer;
use super::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, RESERVED, RawWebSocket, ReceivedFrames, TEXT, close,
    frame, unmasked,
};

/// Sends `bytes` on the stream of a quiet log, and reads to the end.
async fn send_and_read(server: &TestServer, id: &str, bytes: &[u8]) -> ReceivedFrames {
    let mut raw = RawWebSocket::open(server, &format!("/passthrough/engine/logs/{id}")).await;
    raw.send(bytes).await;
    let sent = tokio::time::timeout(Duration::from_secs(30), raw.read_to_end())
        .await
        .expect("the connection is closed");
    assert!(sent.error.is_none(), "{:?}", sent.error);
    sent
}

async fn start_server() -> (TestServer, String) {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    (server, id)
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let (server, id) = start_server().await;
    let legal = [
        1000..=1003,
        1007..=1013,
        3000..=3001,
        3999..=4000,
        4999..=4999,
    ];
    for code in legal.into_iter().flatten() {
        for reason in ["", "that will do", &"é".repeat(61)] {
            let sent = send_and_read(&server, &id, &close(code, reason.as_bytes())).await;
            assert_eq!(sent.code(&code.to_string()), Some(code), "{reason}");
        }
    }
    let sent = send_and_read(&server, &id, &frame(FIN | CLOSE, b"")).await;
    assert_eq!(sent.code("without a body"), None);
    assert_eq!(server.engine.log_readers(&id), 0);
}

#[tokio::test]
async fn an_invalid_close_frame_is_answered_with_1002() {
    let (server, id) = start_server().await;
    let illegal = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    for code in illegal {
        let sent = send_and_read(&server, &id, &close(code, b"why")).await;
        assert_eq!(sent.code(&code.to_string()), Some(1002), "{code}");
    }
    let sent = send_and_read(&server, &id, &frame(FIN | CLOSE, b"\x03")).await;
    assert_eq!(sent.code("half a code"), Some(1002));
}

#[tokio::test]
async fn text_that_is_not_utf8_ends_with_1007() {
    let (server, id) = start_server().await;
    let cut = [frame(TEXT, b"\xce"), frame(FIN | CONTINUATION, b"\xce")].concat();
    for (what, bytes) in [
        ("a reason", close(1000, b"\xff\xfe")),
        ("half a character in a reason", close(1000, b"caf\xc3")),
        ("text", frame(FIN | TEXT, b"\xff\xfe")),
        ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80")),
        ("text in two frames", cut),
    ] {
        let sent = send_and_read(&server, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1007), "{what}");
    }
}

#[tokio::test]
async fn invalid_frames_end_with_1002() {
    let (server, id) = start_server().await;
    let mut cases = vec![
        ("no mask", unmasked(FIN | BINARY, b"x")),
        ("no mask on a close frame", unmasked(FIN | CLOSE, b"")),
        ("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126])),
        (
            "a close frame of 126 bytes",
            frame(FIN | CLOSE, &[b'x'; 126]),
        ),
        ("a ping in two frames", frame(PING, b"x")),
        ("a close frame in two", frame(CLOSE, b"\x03\xe8")),
        ("nothing to continue", frame(FIN | CONTINUATION, b"x")),
        (
            "a message within another",
            [frame(TEXT, b"x"), frame(FIN | TEXT, b"y")].concat(),
        ),
    ];
    for bit in RESERVED {
        cases.push(("a reserved bit", frame(FIN | bit | BINARY, b"x")));
        cases.push(("a reserved bit of a ping", frame(FIN | bit | PING, b"x")));
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push(("a reserved opcode", frame(FIN | opcode, b"x")));
    }
    for (what, bytes) in cases {
        let sent = send_and_read(&server, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1002), "{what}");
    }
    eventually("every permit is released", || async {
        match server.passthrough.session_count() {
            0 => Ok(()),
            sessions => Err(format!("{sessions} sessions")),
        }
    })
    .await;
}

#[tokio::test]
async fn oversized_messages_end_with_1009_in_any_fragmentation() {
    let (server, id) = start_server().await;
    let half = [b'x'; limits::MAX_INBOUND_MESSAGE / 2 + 1];
    let in_two = [frame(BINARY, &half), frame(FIN | CONTINUATION, &half)].concat();
    for (what, bytes) in [
        (
            "one frame",
            frame(FIN | BINARY, &[b'x'; limits::MAX_INBOUND_MESSAGE + 1]),
        ),
        ("two frames", in_two),
        // Simple clients send everything before they read the answer.
        ("a megabyte", frame(FIN | TEXT, &vec![b'x'; 1024 * 1024])),
    ] {
        let sent = send_and_read(&server, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1009), "{what}");
    }
}

#[tokio::test]
async fn a_close_frame_within_a_fragmented_message_is_answered() {
    let (server, id) = start_server().await;
    let bytes = [
        frame(TEXT, b"to be"),
        frame(FIN | PING, b"!"),
        close(4001, b""),
    ]
    .concat();
    let sent = send_and_read(&server, &id, &bytes).await;
    assert_eq!(sent.code("within a message"), Some(4001));
}

#[tokio::test]
async fn a_ping_from_the_client_is_answered() {
    let (server, id) = start_server().await;
    let bytes = [frame(FIN | PING, b"hello"), close(1000, b"")].concat();
    assert_eq!(send_and_read(&server, &id, &bytes).await.pongs, 1);
}

/// Opens the stream of an endless log, and waits until its buffers fill up.
async fn open_stalled(server: &TestServer) -> RawWebSocket {
    let id = server.engine.run_container("loud");
    server.engine.generate_log(
        &id,
        LogScript {
            total: u64::MAX,
            line: 100,
            chunk: OutputChunk::MAX_LEN,
        },
    );
    let raw = RawWebSocket::open(server, &format!("/passthrough/engine/logs/{id}")).await;
    // Peeking leaves the bytes in the buffer, so no more arrive once it is full.
    let mut peeked = [0];
    raw.0.peek(&mut peeked).await.unwrap();
    raw
}

#[tokio::test]
async fn a_close_frame_is_answered_after_the_bytes_that_are_queued_for_a_slow_client() {
    let server = TestServer::start().await;
    for (bytes, code) in [
        (close(1001, b"bye"), 1001),
        (frame(FIN | BINARY, &[b'x'; 5000]), 1009),
        (frame(FIN | TEXT, b"\xff"), 1007),
        (unmasked(FIN | BINARY, b"x"), 1002),
    ] {
        let mut raw = open_stalled(&server).await;
        raw.send(&bytes).await;
        let sent = raw.read_to_end().await;
        assert_eq!(sent.code("stalled"), Some(code));
        assert!(sent.data > 0 && sent.error.is_none(), "{:?}", sent.error);
    }
}

#[tokio::test]
async fn a_client_that_shuts_down_its_side_after_its_close_frame_gets_the_answer() {
    let server = TestServer::start().await;
    let mut raw = open_stalled(&server).await;
    raw.send(&close(1000, b"")).await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0)
        .await
        .unwrap();
    let sent = raw.read_to_end().await;
    assert_eq!(sent.code("half closed"), Some(1000));
}

#[tokio::test]
async fn the_end_of_a_log_reaches_a_reader_slower_than_the_linger_timeout() {
    // All bytes are in the system's buffers long before they are read. What the
    // reader sends in the meantime must not reset the connection.
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.engine.generate_log(
        &id,
        LogScript {
            total: 1024 * 1024,
            line: 100,
            chunk: OutputChunk::MAX_LEN,
        },
    );
    let mut raw = RawWebSocket::open(
        &server,
        &format!("/passthrough/engine/logs/{id}?follow=false"),
    )
    .await;
    let begun = Instant::now();
    while begun.elapsed() < limits::LINGER_TIMEOUT * 2 {
        raw.send(&frame(FIN | PING, b"")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(
        server.passthrough.session_count(),
        1,
        "the peer has not answered yet"
    );
    let sent = raw.read_and_answer().await;
    assert_eq!(sent.code("the log's end"), Some(1000));
    assert_eq!(sent.data, 1024 * 1024);
    assert!(sent.error.is_none(), "{:?}", sent.error);
}
