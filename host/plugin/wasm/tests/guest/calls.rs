use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdd_core::{
    ContainerAction, ContainerEngine, EngineError, EngineObject, ErrorCode, IdFormat, RemoveRequest,
};
use rdd_plugin_wasm::{BackendLimits, Connection, Transport};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describes_itself() {
    let backend = backend();
    let instance = launch(&backend).await;
    let info = instance.info();
    assert_eq!(info.name, "scripted");
    assert_eq!(info.version, "1.2.3");
    assert_eq!(info.id_format, IdFormat::Identifier(64));
    assert!(info.capabilities.logs && info.capabilities.actions && info.capabilities.removals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_than_the_manifests_is_unfit() {
    let backend = rdd_plugin_wasm::Backend::new("other", program(), limits(), Arc::new(Nowhere));
    let Err(refused) = backend.launch().await else {
        panic!("launched");
    };
    assert!(
        matches!(refused, rdd_plugin_wasm::LaunchError::Unfit { .. }),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("says that its name is \"scripted\""),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspects_and_passes_errors_on() {
    let backend = backend();
    let instance = launch(&backend).await;
    let found = soon(instance.inspect(&container("one"))).await.unwrap();
    let EngineObject::Container(one) = found.object else {
        panic!("no container");
    };
    assert_eq!(one.name, "name-of-one");
    assert_eq!(one.labels["label"], "value");
    let missing = soon(instance.inspect(&container("missing")))
        .await
        .unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert_eq!(missing.message, "no such container: missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_and_removes() {
    let backend = backend();
    let instance = launch(&backend).await;
    soon(instance.act("one", ContainerAction::Stop))
        .await
        .unwrap();
    let missing = soon(instance.act("missing", ContainerAction::Stop))
        .await
        .unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    let volume = |created_at| RemoveRequest::Volume {
        name: "data".to_owned(),
        created_at,
    };
    soon(instance.remove(&volume(None))).await.unwrap();
    let epoch = Some("1970-01-01T00:00:00Z".parse().unwrap());
    let replaced = soon(instance.remove(&volume(epoch))).await.unwrap_err();
    assert_eq!(replaced.code, ErrorCode::Replaced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_another_form_never_reaches_the_guest() {
    let backend = backend();
    let instance = launch(&backend).await;
    for id in ["", "-trap", "a/b", &"a".repeat(65)] {
        let refused = soon(instance.inspect(&container(id))).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{id}");
        let refused = soon(instance.act(id, ContainerAction::Start))
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_side_by_side() {
    let backend = backend();
    let instance = launch(&backend).await;
    let began = Instant::now();
    let slow = container("slow");
    let all = futures::future::join_all((0..20).map(|_| instance.inspect(&slow)));
    for answer in soon(all).await {
        answer.unwrap();
    }
    // One after the other they would take four seconds.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_are_never_done_leave_room_for_reads() {
    let backend = backend();
    let instance = Arc::new(launch(&backend).await);
    let stuck: Vec<_> = (0..300)
        .map(|_| {
            let instance = instance.clone();
            tokio::spawn(async move { instance.act("never", ContainerAction::Stop).await })
        })
        .collect();
    tokio::task::yield_now().await;
    soon(instance.inspect(&container("one"))).await.unwrap();
    for task in stuck {
        task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_reach_the_engine_and_come_back_after_a_half_close() {
    let backend = backend_with(limits(), Echo);
    let instance = launch(&backend).await;
    let answered = soon(instance.inspect(&container("echo"))).await.unwrap();
    assert_eq!(answered.raw, "echo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_not_there_is_an_error_of_the_call() {
    let backend = backend();
    let instance = launch(&backend).await;
    let refused = soon(instance.inspect(&container("echo")))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert_eq!(refused.message, "nobody is there");
}

/// Counts the connections that are open.
struct Counting(Arc<AtomicUsize>);

struct Open(Arc<AtomicUsize>, tokio::io::DuplexStream);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl tokio::io::AsyncRead for Open {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.1).poll_read(cx, buffer)
    }
}

#[async_trait]
impl Transport for Counting {
    async fn connect(&self) -> Result<Connection, EngineError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let (reader, _) = tokio::io::duplex(64);
        Ok(Connection {
            reader: Box::new(Open(self.0.clone(), reader)),
            writer: Box::new(tokio::io::sink()),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_and_end_with_the_store() {
    let open = Arc::new(AtomicUsize::new(0));
    let limits = BackendLimits {
        connections: 10,
        ..limits()
    };
    let backend = backend_with(limits, Counting(open.clone()));
    let instance = launch(&backend).await;
    let refused = soon(instance.inspect(&container("connects")))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.message.starts_with("10 connections"), "{refused}");
    drop(instance);
    until("no connection is open", || open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shut_down_backend_answers_so() {
    let backend = backend();
    let instance = launch(&backend).await;
    let log = logs(&instance, "idle").await;
    soon(backend.shutdown()).await;
    let ended = soon(instance.inspect(&container("one"))).await.unwrap_err();
    assert_failed(&ended, "was shut down");
    let (_, ended) = drain_logs(log).await;
    assert_failed(&ended.unwrap(), "was shut down");
}

/// Counts the events of its thread that a backend has written.
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "rdd_plugin_wasm::state" && *metadata.level() == tracing::Level::INFO
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn ten_thousand_log_lines_are_thinned() {
    const PER_SECOND: usize = 100;
    let lines = Arc::new(AtomicUsize::new(0));
    let _collecting = tracing::subscriber::set_default(Lines(lines.clone()));
    let backend = backend();
    let instance = launch(&backend).await;
    let began = Instant::now();
    soon(instance.inspect(&container("chatter"))).await.unwrap();
    let seconds = 2 + usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = lines.load(Ordering::SeqCst);
    assert!(lines >= PER_SECOND, "{lines} came through");
    assert!(lines <= seconds * PER_SECOND, "{lines} came through");
}
