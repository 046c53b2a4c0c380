//! Calls other than watches and logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdd_core::{
    ContainerAction, ContainerEngine, ContainerRef, EngineError, EngineObject, ErrorCode, IdFormat,
    LogOptions, RemoveRequest, RemoveTarget,
};
use rdd_plugin_contract::{
    BackendLimits, BackendServices, EngineConnection, EngineTransport, LaunchError,
};
use rdd_plugin_wasm::ComponentBackend;
use rdd_testkit::eventually;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_info_is_what_describe_returned() {
    let backend = backend();
    let handle = launch(&backend).await;
    let info = handle.info();
    assert_eq!(info.name, "scripted");
    assert_eq!(info.version, "1.2.3");
    assert_eq!(info.id_format, IdFormat::Identifier(64));
    assert!(info.capabilities.logs && info.capabilities.actions && info.capabilities.removals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_differs_from_the_manifest_is_incompatible() {
    let backend = ComponentBackend::new(
        "other",
        component(),
        limits(),
        BackendServices::new(Arc::new(UnreachableTransport)),
    );
    let Err(refused) = backend.launch().await else {
        panic!("the backend was launched");
    };
    assert!(
        matches!(refused, LaunchError::Incompatible { .. }),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("reports the name \"scripted\""),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inspect_returns_objects_and_errors() {
    let backend = backend();
    let handle = launch(&backend).await;
    let found = in_time(handle.inspect(&container("one"))).await.unwrap();
    let EngineObject::Container(one) = found.object else {
        panic!("not a container");
    };
    assert_eq!(one.name, "name-of-one");
    assert_eq!(one.labels["label"], "value");
    let missing = in_time(handle.inspect(&container("missing")))
        .await
        .unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert_eq!(missing.message, "no such container: missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_and_removals_return_results_and_errors() {
    let backend = backend();
    let handle = launch(&backend).await;
    in_time(handle.act(&container_ref("one"), ContainerAction::Stop))
        .await
        .unwrap();
    let missing = in_time(handle.act(&container_ref("missing"), ContainerAction::Stop))
        .await
        .unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    let volume = |created_at| RemoveRequest {
        namespace: "default".to_owned(),
        target: RemoveTarget::Volume {
            name: "data".to_owned(),
            created_at,
        },
    };
    in_time(handle.remove(&volume(None))).await.unwrap();
    let epoch = Some("1970-01-01T00:00:00Z".parse().unwrap());
    let replaced = in_time(handle.remove(&volume(epoch))).await.unwrap_err();
    assert_eq!(replaced.code, ErrorCode::Replaced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_another_format_never_reaches_the_guest() {
    let backend = backend();
    let handle = launch(&backend).await;
    for id in ["", "-trap", "a/b", &"a".repeat(65)] {
        let refused = in_time(handle.inspect(&container(id))).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{id}");
        let refused = in_time(handle.act(&container_ref(id), ContainerAction::Start))
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_names_the_namespace_of_its_object() {
    let backend = backend();
    let handle = launch(&backend).await;
    let one = ContainerRef::new("other", "one");
    let found = in_time(handle.inspect(&one.clone().into())).await.unwrap();
    assert_eq!(found.object.reference().namespace, "other");
    let lies = ContainerRef::new("other", "elsewhere");
    let error = in_time(handle.inspect(&lies.into())).await.unwrap_err();
    assert_failed(
        &error,
        "of the namespace \"other\" returned one of \"elsewhere\"",
    );
    let invalid = ContainerRef::new("../x", "one");
    let errors = [
        in_time(handle.inspect(&invalid.clone().into())).await.err(),
        in_time(handle.act(&invalid, ContainerAction::Stop))
            .await
            .err(),
        in_time(handle.get_logs(&invalid, &LogOptions::default()))
            .await
            .err(),
        in_time(handle.remove(&RemoveRequest {
            namespace: "../x".to_owned(),
            target: RemoveTarget::Image {
                id: "one".to_owned(),
            },
        }))
        .await
        .err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{error}");
        assert!(error.message.contains("\"../x\""), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_concurrently() {
    let backend = backend();
    let handle = launch(&backend).await;
    let slow = container("slow");
    let all = futures::future::join_all((0..200).map(|_| handle.inspect(&slow)));
    // Sequentially they would take 40 seconds.
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    for answer in all.expect("the calls do not run concurrently") {
        answer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_never_end_do_not_block_reads() {
    let backend = backend();
    let handle = Arc::new(launch(&backend).await);
    let stuck: Vec<_> = (0..300)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move {
                handle
                    .act(&container_ref("never"), ContainerAction::Stop)
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    in_time(handle.inspect(&container("one"))).await.unwrap();
    for task in stuck {
        task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_reach_the_engine_and_come_back_after_a_half_close() {
    let backend = backend_with(limits(), EchoTransport);
    let handle = launch(&backend).await;
    let answered = in_time(handle.inspect(&container("echo"))).await.unwrap();
    assert_eq!(answered.raw, "echo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_engine_is_an_error_of_the_call() {
    let backend = backend();
    let handle = launch(&backend).await;
    let refused = in_time(handle.inspect(&container("echo")))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert_eq!(refused.message, "the engine is not running");
}

/// A transport that counts its open connections.
struct CountingTransport(Arc<AtomicUsize>);

struct CountedReader(Arc<AtomicUsize>, tokio::io::DuplexStream);

impl Drop for CountedReader {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl tokio::io::AsyncRead for CountedReader {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.1).poll_read(cx, buffer)
    }
}

#[async_trait]
impl EngineTransport for CountingTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let (reader, _) = tokio::io::duplex(64);
        Ok(EngineConnection {
            reader: Box::new(CountedReader(self.0.clone(), reader)),
            writer: Box::new(tokio::io::sink()),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_and_end_with_the_store() {
    let open = Arc::new(AtomicUsize::new(0));
    let limits = BackendLimits {
        max_connections: 10,
        ..limits()
    };
    let backend = backend_with(limits, CountingTransport(open.clone()));
    let handle = launch(&backend).await;
    let refused = in_time(handle.inspect(&container("connects")))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.message.starts_with("10 connections"), "{refused}");
    drop(handle);
    eventually("no connection is open", || async {
        match open.load(Ordering::SeqCst) {
            0 => Ok(()),
            open => Err(format!("{open} open connections")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_backend_that_was_shut_down_fail() {
    let backend = backend();
    let handle = launch(&backend).await;
    let log = logs(&handle, "idle").await;
    in_time(backend.shutdown()).await;
    let ended = in_time(handle.inspect(&container("one")))
        .await
        .unwrap_err();
    let (_, log_ended) = drain_logs(log).await;
    for error in [ended, log_ended.unwrap()] {
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert!(error.message.contains("was shut down"), "{error}");
    }
}

/// A subscriber that counts the lines that a backend logs on its thread.
struct LineCounter(Arc<AtomicUsize>);

impl tracing::Subscriber for LineCounter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "rdd_plugin_wasm::host_context"
            && *metadata.level() == tracing::Level::INFO
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
async fn log_lines_are_rate_limited() {
    const PER_SECOND: usize = 100;
    let lines = Arc::new(AtomicUsize::new(0));
    let _subscriber = tracing::subscriber::set_default(LineCounter(lines.clone()));
    let backend = backend();
    let handle = launch(&backend).await;
    let began = Instant::now();
    in_time(handle.inspect(&container("log-flood")))
        .await
        .unwrap();
    let seconds = 2 + usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = lines.load(Ordering::SeqCst);
    assert!(lines >= PER_SECOND, "{lines} lines were logged");
    assert!(lines <= seconds * PER_SECOND, "{lines} lines were logged");
}
