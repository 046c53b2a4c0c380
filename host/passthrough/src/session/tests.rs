//! Sessions over a pipe, in time that passes as fast as it can.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream;
use rdd_core::LogStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::delivery::Delivery;

/// Room in each direction of the pipe: the system's socket buffers.
const PIPE: usize = 64 * 1024;

/// What a pipe's system would tell, as a test says.
#[derive(Clone, Default)]
struct System(Arc<Mutex<Option<Delivery>>>);

/// A pipe that knows what its system tells, and whether its end was announced,
/// as TLS must.
struct Pipe {
    inner: DuplexStream,
    system: System,
    announced: Arc<AtomicBool>,
}

impl Transport for Pipe {
    fn delivery(&self) -> Option<Delivery> {
        *self.system.0.lock().unwrap()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.announced.store(true, Ordering::SeqCst);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A session on a pipe.
struct Running {
    client: DuplexStream,
    task: JoinHandle<()>,
    system: System,
    announced: Arc<AtomicBool>,
    drain: CancellationToken,
}

fn start(logs: LogStream) -> Running {
    let (server, client) = tokio::io::duplex(PIPE);
    let (serving, is_serving) = ServingSnapshot::channel();
    let (system, announced) = (System::default(), Arc::new(AtomicBool::new(false)));
    let drain = CancellationToken::new();
    let pipe = Pipe {
        inner: server,
        system: system.clone(),
        announced: announced.clone(),
    };
    let session = Session {
        logs,
        framing: Framing::Raw,
        backend: serving.borrow().backend.clone(),
        serving: is_serving,
        drain: drain.clone(),
    };
    let task = tokio::spawn(async move {
        session.run_on(pipe, Bytes::new()).await;
        drop(serving);
    });
    Running {
        client,
        task,
        system,
        announced,
        drain,
    }
}

fn session(logs: LogStream) -> (DuplexStream, JoinHandle<()>) {
    let Running { client, task, .. } = start(logs);
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

/// Bytes wait, and the peer's system answered so long ago.
fn stalled(since_answer: Duration) -> Option<Delivery> {
    Some(Delivery {
        pending: true,
        acknowledged: 1,
        since_answer,
    })
}

/// Nothing waits.
fn delivered() -> Option<Delivery> {
    Some(Delivery {
        pending: false,
        acknowledged: 2,
        since_answer: Duration::ZERO,
    })
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_lives_while_its_system_answers_and_loses_nothing() {
    let lines = stream::iter((0..200).map(|_| {
        Ok(LogChunk {
            source: LogSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    }));
    let running = start(Box::pin(lines));
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.task.is_finished(), "it was dropped");

    let (mut bytes, mut close) = (0, None);
    let mut client = websocket(running.client).await;
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Binary(frame) => bytes += frame.len(),
            Message::Close(frame) => close = frame.map(|frame| frame.code),
            _ => {}
        }
    }
    assert_eq!((bytes, close), (200_000, Some(CloseCode::Normal)));
    drop(client);
    *running.system.0.lock().unwrap() = delivered();
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_whose_system_is_gone_is_dropped_within_70_s() {
    let running = start(endless());
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!running.task.is_finished());
    // It answers no more: time goes on since it last did.
    let begun = Instant::now();
    let system = running.system.clone();
    let clock = tokio::spawn(async move {
        loop {
            *system.0.lock().unwrap() = stalled(begun.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((55..=70).contains(&took.as_secs()), "{took:?}");
    clock.abort();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_has_every_byte_and_is_silent_is_dropped_within_70_s() {
    let (running, begun) = (start(idle()), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_are_sent_while_a_log_never_pauses() {
    let (client, task) = session(endless());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    // A reader of 100 kB/s or so.
    let mut pings = 0;
    while begun.elapsed() < Duration::from_secs(60) {
        match client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            Some(Ok(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => panic!("after {:?}: {other:?}", begun.elapsed()),
        }
    }
    assert!(pings >= 4, "{pings} pings in a minute");
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_log_waits_for_a_slow_reader() {
    // The whole log and the close frame fit into what the system keeps; the
    // reader needs minutes for it, and answers the pings in between late.
    let lines = stream::iter((0..60).map(|_| {
        Ok(LogChunk {
            source: LogSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    }));
    let running = start(Box::pin(lines));
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    let mut client = websocket(running.client).await;
    for _ in 0..60 {
        let Some(Ok(Message::Binary(_))) = client.next().await else {
            panic!("the log was cut");
        };
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::Normal);
    assert!(!running.task.is_finished(), "the peer has not answered yet");
    *running.system.0.lock().unwrap() = delivered();
    assert!(client.next().await.is_none());
    drop(client);
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_the_close_frame_is_dropped_and_holds_no_engine_up() {
    let held = Arc::new(());
    let still_held = Arc::downgrade(&held);
    let logs = stream::empty().inspect(move |_: &Result<LogChunk, EngineError>| drop(held.clone()));
    let (running, begun) = (start(Box::pin(logs)), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    rdd_testkit::eventually("the engine's side is let go", || async {
        match still_held.upgrade() {
            None => Ok(()),
            Some(_) => Err("held".to_owned()),
        }
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    running.task.await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(70));
}

#[tokio::test(start_paused = true)]
async fn the_daemons_end_does_not_wait_for_a_peer_that_does_not_read() {
    let running = start(endless());
    *running.system.0.lock().unwrap() = stalled(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    running.drain.cancel();
    running.task.await.unwrap();
    assert!(begun.elapsed() <= limits::DRAIN, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_shut_down_in_order_once_both_sides_said_goodbye() {
    let running = start(Box::pin(stream::empty()));
    let mut client = websocket(running.client).await;
    while let Some(Ok(_)) = client.next().await {}
    drop(client);
    running.task.await.unwrap();
    assert!(running.announced.load(Ordering::SeqCst));
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
