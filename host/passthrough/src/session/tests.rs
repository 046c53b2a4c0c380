//! Sessions over a pipe, in time that passes as fast as it can.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream;
use rdd_core::LogStream;
use tokio::io::{AsyncReadExt as _, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

/// Room in each direction of the pipe: the system's socket buffers.
const PIPE: usize = 64 * 1024;

fn session(logs: LogStream) -> (DuplexStream, JoinHandle<()>) {
    let (server, client) = tokio::io::duplex(PIPE);
    let (serving, is_serving) = ServingSnapshot::channel();
    let task = tokio::spawn(async move {
        run_on(
            server,
            logs,
            Framing::Raw,
            is_serving,
            CancellationToken::new(),
        )
        .await;
        drop(serving);
    });
    (client, task)
}

async fn websocket(pipe: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(pipe, Role::Client, None).await
}

/// A log that gives nothing and does not end.
fn idle() -> LogStream {
    Box::pin(stream::pending())
}

/// A log that never runs dry.
fn endless() -> LogStream {
    let chunk = || {
        Ok(LogChunk {
            source: LogSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    };
    Box::pin(stream::repeat_with(chunk))
}

#[tokio::test(start_paused = true)]
async fn a_log_without_output_lives_for_hours_while_its_viewer_answers_pings() {
    let (client, task) = session(idle());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    let mut pings = 0;
    // Reading is what answers pings.
    while begun.elapsed() < Duration::from_secs(4 * 3600) {
        match client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("after {:?}: {other:?}", begun.elapsed()),
        }
    }
    assert!(pings >= 4 * 360, "a ping every ten seconds, not {pings}");
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_silent_is_dropped_within_70_s() {
    let (mut client, task) = session(idle());
    let begun = Instant::now();
    // The peer's system takes the bytes; nobody is there to answer them.
    let reader = tokio::spawn(async move {
        let mut sunk = Vec::new();
        client.read_to_end(&mut sunk).await.unwrap();
    });
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    reader.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_vanished_while_bytes_were_under_way_is_dropped_within_70_s() {
    let (client, task) = session(endless());
    let begun = Instant::now();
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_held_back_and_not_dropped() {
    let (mut client, task) = session(endless());
    let begun = Instant::now();
    // Too slow for any ping to get through in time: the data before it takes longer.
    let mut piece = vec![0; 1024];
    while begun.elapsed() < Duration::from_secs(3600) {
        client.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_half_open_viewer_of_a_quiet_log_is_dropped_though_writes_succeed() {
    // One short line a second fits the system's buffers for hours: that it can
    // be written proves nothing about the peer.
    let lines = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((
            Ok(LogChunk {
                source: LogSource::Stdout,
                bytes: Bytes::from_static(b"tick\n"),
            }),
            (),
        ))
    });
    let (client, task) = session(Box::pin(lines));
    let begun = Instant::now();
    task.await.unwrap();
    assert!(
        begun.elapsed() <= Duration::from_secs(70),
        "{:?}",
        begun.elapsed()
    );
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_the_close_frame_holds_nothing_up() {
    let (client, task) = session(Box::pin(stream::empty()));
    let begun = Instant::now();
    task.await.unwrap();
    assert!(begun.elapsed() <= limits::CLOSE_HANDSHAKE);
    drop(client);
}

/// A pipe that knows whether its end was announced, as TLS must.
struct Announced(DuplexStream, Arc<AtomicBool>);

impl AsyncRead for Announced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Announced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.1.store(true, Ordering::SeqCst);
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_shut_down_in_order_once_both_sides_said_goodbye() {
    let (server, client) = tokio::io::duplex(PIPE);
    let announced = Arc::new(AtomicBool::new(false));
    let (_serving, is_serving) = ServingSnapshot::channel();
    let task = tokio::spawn(run_on(
        Announced(server, announced.clone()),
        Box::pin(stream::empty()),
        Framing::Raw,
        is_serving,
        CancellationToken::new(),
    ));
    let mut client = websocket(client).await;
    while let Some(Ok(_)) = client.next().await {}
    task.await.unwrap();
    assert!(announced.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn garbage_instead_of_frames_ends_the_session() {
    let (mut client, task) = session(idle());
    client.write_all(&[0xff; 32]).await.unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_makes_the_session_buffer_no_more_than_its_limit() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let chunks = stream::repeat_with(move || {
        counter.fetch_add(LogChunk::MAX_LEN, Ordering::SeqCst);
        Ok(LogChunk {
            source: LogSource::Stdout,
            bytes: Bytes::from(vec![b'x'; LogChunk::MAX_LEN]),
        })
    });
    let (client, task) = session(Box::pin(chunks));
    rdd_testkit::eventually("the pipe is full", || async {
        let before = taken.load(Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if before > 0 && before == taken.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(before.to_string())
        }
    })
    .await;
    let held = taken.load(Ordering::SeqCst) - PIPE;
    assert!(held <= limits::SESSION_BUFFER, "{held} bytes");
    task.abort();
    drop(client);
}

#[test]
fn a_reason_is_cut_at_a_character() {
    let message = "ü".repeat(100);
    let frame = close_frame(End::Failed(EngineError::new(ErrorCode::Internal, message))).unwrap();
    assert_eq!(frame.code, CloseCode::Error);
    assert_eq!(frame.reason.len(), limits::CLOSE_REASON - 1);
}

#[test]
fn s10_the_limits_keep_their_promises_to_each_other() {
    assert!(limits::PEER_SILENCE + limits::SILENCE_CHECK < Duration::from_secs(70));
    assert!(
        limits::PING_EVERY * 3 < limits::PEER_SILENCE,
        "one lost ping is no death"
    );
    const {
        assert!(
            limits::WRITE_BUFFER + LogChunk::MAX_LEN < limits::SESSION_BUFFER,
            "a whole chunk fits"
        );
    }
    const { assert!(limits::STREAMS_PER_USER < limits::STREAMS_TOTAL) };
}
