//! Sessions over an in-memory pipe, with a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use rdd_core::{ExecOptions, LogStream, OutputSource, TerminalSize};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::session::test_pipe::{FakeSystem, PIPE, Pipe, delivered, in_flight, stalled};

/// A session and the process's ends of it.
struct RunningSession {
    client: WebSocketStream<DuplexStream>,
    stdin: mpsc::Receiver<Bytes>,
    _sizes: watch::Receiver<Option<TerminalSize>>,
    system: FakeSystem,
    task: JoinHandle<()>,
}

/// Starts the session of a process with this output, which never exits.
async fn start(output: LogStream) -> RunningSession {
    let (server, client) = tokio::io::duplex(PIPE);
    let (serving, is_serving) = ServingSnapshot::channel();
    let system = FakeSystem::default();
    let pipe = Pipe {
        inner: server,
        system: system.clone(),
        is_shut_down: Arc::new(AtomicBool::new(false)),
    };
    let (stdin, input) = mpsc::channel(1);
    let (resizes, sizes) = watch::channel(None);
    let session = ProcessSession {
        process: OpenProcess {
            session: ExecSession {
                stdin,
                resizes,
                output,
                exit: std::future::pending().boxed(),
            },
            options: ExecOptions {
                stdin: true,
                ..ExecOptions::default()
            },
        },
        protocol: ExecProtocol::ChannelV5,
        backend: serving.borrow().backend.clone(),
        serving: is_serving,
        shutdown: CancellationToken::new(),
    };
    let task = tokio::spawn(async move {
        session.run_on(pipe, Bytes::new()).await;
        drop(serving);
    });
    RunningSession {
        client: WebSocketStream::from_raw_socket(client, Role::Client, None).await,
        stdin: input,
        _sizes: sizes,
        system,
        task,
    }
}

fn quiet() -> LogStream {
    Box::pin(stream::pending())
}

/// Counts the bytes that are taken from an output without end.
fn endless(taken: Arc<AtomicUsize>) -> LogStream {
    Box::pin(stream::repeat_with(move || {
        taken.fetch_add(OutputChunk::MAX_LEN, Ordering::SeqCst);
        Ok(OutputChunk {
            source: OutputSource::Stdout,
            bytes: Bytes::from(vec![b'x'; OutputChunk::MAX_LEN]),
        })
    }))
}

/// Sends standard input until nothing more is taken. Returns the number of bytes.
async fn fill(client: &mut WebSocketStream<DuplexStream>) -> usize {
    let mut sent = 0;
    let message = Message::binary(vec![0; 64 * 1024]);
    let limit = Duration::from_secs(1);
    while tokio::time::timeout(limit, client.send(message.clone()))
        .await
        .is_ok()
    {
        sent += message.len();
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_input_is_not_read_stays_connected_while_its_system_answers() {
    let mut running = start(quiet()).await;
    *running.system.0.lock().unwrap() = delivered();
    let sent = fill(&mut running.client).await;
    assert!(sent < 1024 * 1024, "{sent} bytes are buffered");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.task.is_finished());
    // It is read again, and goes on.
    let mut received = 0;
    while let Ok(Some(bytes)) =
        tokio::time::timeout(Duration::from_secs(1), running.stdin.recv()).await
    {
        received += bytes.len();
    }
    assert!(received >= sent - PIPE - 64, "{received} of {sent} bytes");
    let mut pings = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(120) {
        match running.client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(pings >= 12, "{pings} pings");
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_input_is_not_read_is_disconnected_within_70_s_if_its_system_is_silent() {
    let mut running = start(quiet()).await;
    *running.system.0.lock().unwrap() = delivered();
    fill(&mut running.client).await;
    let begun = Instant::now();
    let system = running.system.clone();
    let clock = tokio::spawn(async move {
        loop {
            *system.0.lock().unwrap() = in_flight(begun.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((59..=70).contains(&took.as_secs()), "{took:?}");
    assert_eq!(running.stdin.len(), 1, "the queue of the process was full");
    clock.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_disconnected_within_70_s() {
    let running = start(quiet()).await;
    *running.system.0.lock().unwrap() = delivered();
    let begun = Instant::now();
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    assert!(running.stdin.is_closed() || running.stdin.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pings_and_input_go_on_while_the_output_never_pauses() {
    let mut running = start(endless(Arc::default())).await;
    running
        .client
        .send(Message::binary(&b"\0input"[..]))
        .await
        .unwrap();
    let begun = Instant::now();
    let mut pings = 0;
    while begun.elapsed() < Duration::from_secs(60) {
        match running.client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            Some(Ok(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    }
    assert!(pings >= 4, "{pings} pings in a minute");
    assert_eq!(running.stdin.recv().await.unwrap(), "input");
}

#[tokio::test(start_paused = true)]
async fn no_more_output_than_the_limit_is_buffered_for_a_client_that_does_not_read() {
    let taken = Arc::new(AtomicUsize::new(0));
    let running = start(endless(taken.clone())).await;
    *running.system.0.lock().unwrap() = stalled(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!running.task.is_finished());
    let buffered = taken.load(Ordering::SeqCst) - PIPE;
    assert!(buffered <= limits::MAX_SESSION_BUFFER, "{buffered} bytes");
}
