//! Sessions over a pipe, in time that passes as fast as it can.

mod ending;
mod liveness;

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
