//! How a stream ends that its client ends, or that ends for its client's faults.

use std::time::Duration;

use rdd_core::LogChunk;
use rdd_passthrough::limits;
use rdd_testkit::{LogScript, eventually};
use tokio::time::Instant;

use super::common::Mux;
use super::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, RESERVED, Raw, Sent, TEXT, close, frame, unmasked,
};

/// A stream of a log that is quiet, after `bytes` were sent to it.
async fn answer(mux: &Mux, id: &str, bytes: &[u8]) -> Sent {
    let mut raw = Raw::open(mux, &format!("/passthrough/engine/logs/{id}")).await;
    raw.send(bytes).await;
    let sent = tokio::time::timeout(Duration::from_secs(30), raw.read_to_end())
        .await
        .expect("the connection is ended");
    assert!(sent.error.is_none(), "{:?}", sent.error);
    sent
}

async fn mux() -> (Mux, String) {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    (mux, id)
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    let (mux, id) = mux().await;
    let legal = [
        1000..=1003,
        1007..=1013,
        3000..=3001,
        3999..=4000,
        4999..=4999,
    ];
    for code in legal.into_iter().flatten() {
        for reason in ["", "that will do", &"é".repeat(61)] {
            let sent = answer(&mux, &id, &close(code, reason.as_bytes())).await;
            assert_eq!(sent.code(&code.to_string()), Some(code), "{reason}");
        }
    }
    let sent = answer(&mux, &id, &frame(FIN | CLOSE, b"")).await;
    assert_eq!(sent.code("without a body"), None);
    assert_eq!(mux.engine.log_readers(&id), 0);
}

#[tokio::test]
async fn a_close_frame_against_the_protocol_is_answered_with_1002() {
    let (mux, id) = mux().await;
    let illegal = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    for code in illegal {
        let sent = answer(&mux, &id, &close(code, b"why")).await;
        assert_eq!(sent.code(&code.to_string()), Some(1002), "{code}");
    }
    let sent = answer(&mux, &id, &frame(FIN | CLOSE, b"\x03")).await;
    assert_eq!(sent.code("half a code"), Some(1002));
}

#[tokio::test]
async fn text_that_is_no_utf8_ends_with_1007() {
    let (mux, id) = mux().await;
    let cut = [frame(TEXT, b"\xce"), frame(FIN | CONTINUATION, b"\xce")].concat();
    for (what, bytes) in [
        ("a reason", close(1000, b"\xff\xfe")),
        ("half a character in a reason", close(1000, b"caf\xc3")),
        ("text", frame(FIN | TEXT, b"\xff\xfe")),
        ("a surrogate", frame(FIN | TEXT, b"\xed\xa0\x80")),
        ("text in two frames", cut),
    ] {
        let sent = answer(&mux, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1007), "{what}");
    }
}

#[tokio::test]
async fn frames_against_the_protocol_end_with_1002() {
    let (mux, id) = mux().await;
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
        let sent = answer(&mux, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1002), "{what}");
    }
    eventually("every place is given back", || async {
        match mux.passthrough.sessions() {
            0 => Ok(()),
            sessions => Err(format!("{sessions} sessions")),
        }
    })
    .await;
}

#[tokio::test]
async fn messages_that_are_too_large_end_with_1009_in_whatever_pieces_they_come() {
    let (mux, id) = mux().await;
    let half = [b'x'; limits::INBOUND_MESSAGE / 2 + 1];
    let in_two = [frame(BINARY, &half), frame(FIN | CONTINUATION, &half)].concat();
    for (what, bytes) in [
        (
            "one frame",
            frame(FIN | BINARY, &[b'x'; limits::INBOUND_MESSAGE + 1]),
        ),
        ("two frames", in_two),
        // All of it is sent before the answer is read, as a simple client does.
        ("a megabyte", frame(FIN | TEXT, &vec![b'x'; 1024 * 1024])),
    ] {
        let sent = answer(&mux, &id, &bytes).await;
        assert_eq!(sent.code(what), Some(1009), "{what}");
    }
}

#[tokio::test]
async fn a_close_frame_amid_the_frames_of_a_message_is_answered() {
    let (mux, id) = mux().await;
    let bytes = [
        frame(TEXT, b"to be"),
        frame(FIN | PING, b"!"),
        close(4001, b""),
    ]
    .concat();
    let sent = answer(&mux, &id, &bytes).await;
    assert_eq!(sent.code("amid a message"), Some(4001));
}

#[tokio::test]
async fn a_ping_of_the_client_is_answered() {
    let (mux, id) = mux().await;
    let bytes = [frame(FIN | PING, b"hello"), close(1000, b"")].concat();
    assert_eq!(answer(&mux, &id, &bytes).await.pongs, 1);
}

/// A stream of a log that never ends, not read until it is held back.
async fn held_back(mux: &Mux) -> Raw {
    let id = mux.engine.run_container("loud");
    mux.engine.generate_log(
        &id,
        LogScript {
            total: u64::MAX,
            line: 100,
            chunk: LogChunk::MAX_LEN,
        },
    );
    let raw = Raw::open(mux, &format!("/passthrough/engine/logs/{id}")).await;
    // What is readable stays so, and no more comes once every buffer is full.
    let mut peeked = [0];
    raw.0.peek(&mut peeked).await.unwrap();
    raw
}

#[tokio::test]
async fn a_close_frame_is_answered_behind_what_waits_for_a_slow_client() {
    let mux = Mux::start().await;
    for (bytes, code) in [
        (close(1001, b"bye"), 1001),
        (frame(FIN | BINARY, &[b'x'; 5000]), 1009),
        (frame(FIN | TEXT, b"\xff"), 1007),
        (unmasked(FIN | BINARY, b"x"), 1002),
    ] {
        let mut raw = held_back(&mux).await;
        raw.send(&bytes).await;
        let sent = raw.read_to_end().await;
        assert_eq!(sent.code("held back"), Some(code));
        assert!(sent.data > 0 && sent.error.is_none(), "{:?}", sent.error);
    }
}

#[tokio::test]
async fn a_client_that_ends_its_side_behind_its_close_frame_gets_the_answer() {
    let mux = Mux::start().await;
    let mut raw = held_back(&mux).await;
    raw.send(&close(1000, b"")).await;
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0)
        .await
        .unwrap();
    let sent = raw.read_to_end().await;
    assert_eq!(sent.code("its side is ended"), Some(1000));
}

#[tokio::test]
async fn the_end_of_a_log_reaches_a_reader_that_is_slower_than_the_old_time_limit() {
    // Everything is in the system's buffers long before it is read; what the
    // reader sends meanwhile must not reset the connection.
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    mux.engine.generate_log(
        &id,
        LogScript {
            total: 1024 * 1024,
            line: 100,
            chunk: LogChunk::MAX_LEN,
        },
    );
    let mut raw = Raw::open(&mux, &format!("/passthrough/engine/logs/{id}?follow=false")).await;
    let begun = Instant::now();
    while begun.elapsed() < limits::LINGER * 2 {
        raw.send(&frame(FIN | PING, b"")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(
        mux.passthrough.sessions(),
        1,
        "the peer has not answered yet"
    );
    let sent = raw.read_and_answer().await;
    assert_eq!(sent.code("the log's end"), Some(1000));
    assert_eq!(sent.data, 1024 * 1024);
    assert!(sent.error.is_none(), "{:?}", sent.error);
}
