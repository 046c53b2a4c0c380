//! Sessions over an in-memory pipe, with a paused clock.

mod closing;
mod liveness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream;
use rdd_core::{LogStream, OutputChunk, OutputSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::log_format::encode_chunk;
use crate::session::test_pipe::{FakeSystem, PIPE, Pipe, delivered, in_flight, stalled};

/// A session on a pipe.
struct RunningSession {
    client: DuplexStream,
    task: JoinHandle<()>,
    system: FakeSystem,
    is_shut_down: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

/// Starts a session for `logs`.
fn start(logs: LogStream) -> RunningSession {
    let (server, client) = tokio::io::duplex(PIPE);
    let (serving, is_serving) = ServingSnapshot::channel();
    let (system, is_shut_down) = (FakeSystem::default(), Arc::new(AtomicBool::new(false)));
    let shutdown = CancellationToken::new();
    let pipe = Pipe {
        inner: server,
        system: system.clone(),
        is_shut_down: is_shut_down.clone(),
    };
    let session = LogSession {
        messages: logs
            .map(|chunk| chunk.map(|chunk| encode_chunk(FrameFormat::Raw, chunk)))
            .boxed(),
        frame_format: FrameFormat::Raw,
        backend: serving.borrow().backend.clone(),
        serving: is_serving,
        shutdown: shutdown.clone(),
    };
    let task = tokio::spawn(async move {
        session.run_on(pipe, Bytes::new()).await;
        drop(serving);
    });
    RunningSession {
        client,
        task,
        system,
        is_shut_down,
        shutdown,
    }
}

/// Starts a session and returns its client and its task.
fn session(logs: LogStream) -> (DuplexStream, JoinHandle<()>) {
    let RunningSession { client, task, .. } = start(logs);
    (client, task)
}

async fn websocket(pipe: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(pipe, Role::Client, None).await
}

/// A log without output that does not end.
fn idle() -> LogStream {
    Box::pin(stream::pending())
}

/// A log that always has output.
fn endless() -> LogStream {
    let chunk = || {
        Ok(OutputChunk {
            source: OutputSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    };
    Box::pin(stream::repeat_with(chunk))
}

#[tokio::test]
async fn a_session_buffers_no_more_than_its_limit_for_a_stalled_reader() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let chunks = stream::repeat_with(move || {
        counter.fetch_add(OutputChunk::MAX_LEN, Ordering::SeqCst);
        Ok(OutputChunk {
            source: OutputSource::Stdout,
            bytes: Bytes::from(vec![b'x'; OutputChunk::MAX_LEN]),
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
    let buffered = taken.load(Ordering::SeqCst) - PIPE;
    assert!(buffered <= limits::MAX_SESSION_BUFFER, "{buffered} bytes");
    task.abort();
    drop(client);
}

#[test]
fn the_limits_are_consistent() {
    assert!(limits::PEER_TIMEOUT + limits::PEER_CHECK_INTERVAL < Duration::from_secs(70));
    assert!(
        limits::PING_INTERVAL * 3 < limits::PEER_TIMEOUT,
        "one lost ping does not disconnect a peer"
    );
    const {
        assert!(
            limits::WRITE_BUFFER_SIZE + OutputChunk::MAX_LEN < limits::MAX_SESSION_BUFFER,
            "a whole chunk fits"
        );
    }
    const { assert!(limits::MAX_STREAMS_PER_USER < limits::MAX_STREAMS) };
}
