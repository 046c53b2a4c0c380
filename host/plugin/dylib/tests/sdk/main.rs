//! A backend that uses the SDK, exported as a library and linked into this test:
//! both sides of the boundary in Rust, so that a tool for undefined behavior can
//! follow every access.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unsafe_code,
    reason = "a test fails by panicking, and refers to the exported function"
)]

mod toy;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{
    ContainerAction, ContainerEngine as _, ContainerRef, ContainerSpec, EngineError, EngineObject,
    EntryOptions, ErrorCode, ExecOptions, LogOptions, ObjectKind, ObjectRef, PushSpec,
    RegistryCredentialStore, RegistryCredentials, RemoveRequest, RemoveTarget, TerminalSize,
    Timestamp, WatchEvent,
};
use rdd_plugin_contract::{
    BackendInstance as _, BackendLimits, BackendServices, EngineConnection, EngineTransport,
    PluginBackend as _, UsageSnapshot,
};
use rdd_plugin_dylib::{BackendLibrary, LibraryBackend, LibraryHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

unsafe extern "C" {
    /// What `export_backend!` exports.
    safe fn rdd_backend_library(major: u32, minor: u32) -> *const rdd_sdk::library::abi::Library;
}

unsafe extern "C" fn entry(major: u32, minor: u32) -> *const rdd_sdk::library::abi::Library {
    rdd_backend_library(major, minor)
}

/// An engine that echoes until the client half-closes.
struct EchoEngine;

#[async_trait]
impl EngineTransport for EchoEngine {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (client, mut server) = tokio::io::duplex(64);
        tokio::spawn(async move {
            let mut buffer = [0; 16];
            while let Ok(count @ 1..) = server.read(&mut buffer).await {
                let Some(received) = buffer.get(..count) else {
                    return;
                };
                server.write_all(received).await.ok();
            }
        });
        let (reader, writer) = tokio::io::split(client);
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

struct Jane;

#[async_trait]
impl RegistryCredentialStore for Jane {
    async fn credentials(&self, _: &str) -> Result<Option<RegistryCredentials>, EngineError> {
        Ok(Some(RegistryCredentials::Password {
            username: "jane".to_owned(),
            password: "hunter2".to_owned(),
        }))
    }
}

async fn launched() -> (LibraryBackend, LibraryHandle) {
    // SAFETY: the SDK follows the ABI.
    let library = unsafe { BackendLibrary::from_entry(entry) }.unwrap();
    let services = BackendServices {
        credentials: Arc::new(Jane),
        ..BackendServices::new(Arc::new(EchoEngine))
    };
    let backend = LibraryBackend::new("toy", library, BackendLimits::default(), services);
    let handle = backend.launch().await.unwrap();
    (backend, handle)
}

async fn finish(backend: LibraryBackend, handle: LibraryHandle) {
    rdd_testkit::eventually("nothing uses the backend", || {
        let usage = handle.usage();
        std::future::ready(match usage == UsageSnapshot::default() {
            true => Ok(()),
            false => Err(format!("{usage:?}")),
        })
    })
    .await;
    drop(handle);
    backend.shutdown().await;
    assert_eq!(backend.abandoned_threads(), 0);
}

fn container(id: &str) -> ContainerRef {
    ContainerRef::new("default", id)
}

fn reference(id: &str) -> ObjectRef {
    ObjectRef::new(ObjectKind::Container, "default", id)
}

#[tokio::test]
async fn calls_with_one_result_pass_their_parameters_and_results() {
    let (backend, handle) = launched().await;
    assert_eq!(handle.info().version, "1.0.0");
    let response = handle.inspect(&reference("abc")).await.unwrap();
    let EngineObject::Container(it) = response.object else {
        panic!("not a container");
    };
    assert_eq!(it, toy::core_container("abc"));
    let response = handle.inspect(&reference("echo")).await.unwrap();
    assert_eq!(
        response.raw,
        "a request that is longer than any buffer of the engine, so that writing it has to wait for reading"
    );
    let error = handle.inspect(&reference("missing")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let error = handle.inspect(&reference("other-code")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Other("quota".to_owned()));
    let error = handle
        .act(&container("abc"), ContainerAction::Unpause)
        .await
        .unwrap_err();
    assert_eq!(error.message, "unpause of abc in default");
    let request = RemoveRequest {
        namespace: "default".to_owned(),
        target: RemoveTarget::Volume {
            name: "v".to_owned(),
            created_at: Timestamp::new(5, 6),
        },
    };
    let error = handle.remove(&request).await.unwrap_err();
    assert_eq!(error.message, "v created at 5.6");
    let spec = ContainerSpec {
        name: Some("new".to_owned()),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..ContainerSpec::new("default", "image")
    };
    assert_eq!(handle.create_container(&spec).await.unwrap(), "new-k-v");
    finish(backend, handle).await;
}

#[tokio::test]
async fn streams_pass_their_items_and_their_end() {
    let (backend, handle) = launched().await;
    let mut watch = handle.watch().await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), WatchEvent::InitBegin);
    let WatchEvent::Applied(object) = watch.next().await.unwrap().unwrap() else {
        panic!("not applied");
    };
    assert_eq!(*object, EngineObject::Container(toy::core_container("abc")));
    assert_eq!(watch.next().await.unwrap().unwrap(), WatchEvent::InitDone);
    drop(watch);

    let options = LogOptions::default();
    let log = handle
        .get_logs(&container("lines"), &options)
        .await
        .unwrap();
    let chunks: Vec<_> = log.try_collect().await.unwrap();
    let lines: Vec<_> = chunks.iter().map(|chunk| &chunk.bytes[..]).collect();
    assert_eq!(lines, [&b"one\n"[..], b"two\n", b"three\n"]);
    let error = handle
        .get_logs(&container("missing"), &options)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);
    let log = handle
        .get_logs(&container("fails"), &options)
        .await
        .unwrap();
    let items: Vec<_> = log.collect().await;
    let [Ok(chunk), Err(error)] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(chunk.bytes, "first\n");
    assert_eq!(error.code, ErrorCode::Unavailable);

    let options = EntryOptions::default();
    let log = handle.get_entries(&container("lines"), &options).await;
    let batches: Vec<_> = log.unwrap().try_collect().await.unwrap();
    let entries: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.entries())
        .map(|entry| (entry.header.time, entry.bytes))
        .collect();
    assert_eq!(entries, [(1, &b"one"[..]), (2, b"two")]);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_dropped_stream_drops_the_future_of_the_backend() {
    let (backend, handle) = launched().await;
    let options = LogOptions::default();
    let mut log = handle
        .get_logs(&container("ticker"), &options)
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(log.next().await.unwrap().unwrap().bytes, "tick\n");
    }
    drop(log);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_process_reads_input_and_sizes_and_exits() {
    let (backend, handle) = launched().await;
    let options = ExecOptions {
        command: vec!["cat".to_owned()],
        stdin: true,
        tty: true,
        stderr: false,
        ..ExecOptions::default()
    };
    let mut session = handle.exec(&container("abc"), &options).await.unwrap();
    let size = TerminalSize {
        columns: 80,
        rows: 24,
    };
    session.resizes.send(Some(size)).unwrap();
    assert_eq!(
        session.output.next().await.unwrap().unwrap().bytes,
        "80x24\n"
    );
    for text in ["some ", "input"] {
        session.stdin.send(text.into()).await.unwrap();
        assert_eq!(session.output.next().await.unwrap().unwrap().bytes, text);
    }
    drop(session.stdin);
    assert!(session.output.next().await.is_none());
    assert_eq!(session.exit.await.unwrap(), 10);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_push_gets_credentials() {
    let (backend, handle) = launched().await;
    let push = |image: &str| PushSpec {
        namespace: "default".to_owned(),
        image: image.to_owned(),
    };
    let progress = handle.push(&push("registry.example/app")).await.unwrap();
    let progress: Vec<_> = progress.try_collect().await.unwrap();
    let layers: Vec<_> = progress.iter().map(|it| it.layer.as_str()).collect();
    assert_eq!(layers, ["jane"]);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_panic_is_an_error_and_ends_its_instance() {
    let (backend, handle) = launched().await;
    let options = LogOptions::default();
    let log = handle
        .get_logs(&container("panics"), &options)
        .await
        .unwrap();
    let items: Vec<_> = log.collect().await;
    let [Ok(_), Err(error)] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(error.code, ErrorCode::StreamFailed);
    assert!(
        error.message.contains("panicked: a bug of the toy"),
        "{error}"
    );
    let error = handle.inspect(&reference("panics")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::PluginFailed);
    assert!(
        error.message.contains("panicked: a bug of the toy"),
        "{error}"
    );
    assert!(handle.wait_for_exit().await.is_guest_fault);
    drop(handle);
    let handle = backend.launch().await.unwrap();
    handle.inspect(&reference("abc")).await.unwrap();
    finish(backend, handle).await;
}
