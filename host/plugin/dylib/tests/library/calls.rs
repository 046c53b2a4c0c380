//! The calls with one result.

use std::time::Duration;

use futures::StreamExt as _;
use rdd_core::{
    ContainerAction, ContainerEngine as _, EngineObject, ErrorCode, LogOptions, RemoveRequest,
    RemoveTarget, VolumeSpec,
};
use rdd_plugin_contract::BackendInstance as _;
use rdd_plugin_contract::BackendLimits;

use crate::support::{
    HeldEngine, NoEngine, SilentEngine, backend_with, container, eventually, finish, launched,
    limits, reference,
};

#[tokio::test]
async fn an_inspected_container_has_all_fields() {
    let (backend, handle) = launched(limits()).await;
    let response = handle.inspect(&reference("web")).await.unwrap();
    let EngineObject::Container(it) = response.object else {
        panic!("not a container");
    };
    assert_eq!((it.id.as_str(), it.pid, it.running), ("web", 42, true));
    assert_eq!(it.labels["a"], "1");
    assert_eq!(it.created_at.unwrap().nanoseconds(), 5);
    assert_eq!(it.ports[0].bindings[0].host_port, "8080");
    finish(backend, handle).await;
}

#[tokio::test]
async fn bytes_are_exchanged_over_the_transport_of_the_host() {
    let (backend, handle) = launched(limits()).await;
    let response = handle.inspect(&reference("echo")).await.unwrap();
    assert_eq!(response.raw, "hello echo");
    handle
        .act(&container("request"), ContainerAction::Start)
        .await
        .unwrap();
    finish(backend, handle).await;
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_an_error_of_the_call() {
    let backend = backend_with(&[], limits(), NoEngine);
    let handle = backend.launch().await.unwrap();
    let error = handle.inspect(&reference("echo")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert_eq!(error.message, "no engine listens");
    finish(backend, handle).await;
}

#[tokio::test]
async fn errors_are_values() {
    let (backend, handle) = launched(limits()).await;
    let error = handle.inspect(&reference("missing")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert_eq!(error.message, "no such container: missing");
    let error = handle
        .act(&container("db"), ContainerAction::Pause)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    let error = handle.inspect(&reference("../x")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    let request = RemoveRequest {
        namespace: "default".to_owned(),
        target: RemoveTarget::Container {
            id: "nobody".to_owned(),
        },
    };
    let error = handle.remove(&request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let spec = VolumeSpec {
        namespace: "default".to_owned(),
        name: Some("data".to_owned()),
        ..VolumeSpec::default()
    };
    let error = handle.create_volume(&spec).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    let spec = VolumeSpec {
        name: Some("fresh".to_owned()),
        ..spec
    };
    assert_eq!(handle.create_volume(&spec).await.unwrap(), "fresh");
    finish(backend, handle).await;
}

#[tokio::test]
async fn calls_run_concurrently_on_one_thread() {
    let (backend, handle) = launched(limits()).await;
    let slow = reference("slow");
    // Two hundred milliseconds each, one after another that would be forty seconds.
    let calls = (0..200).map(|_| handle.inspect(&slow));
    let all = futures::future::try_join_all(calls);
    let results = tokio::time::timeout(Duration::from_secs(20), all);
    assert_eq!(results.await.unwrap().unwrap().len(), 200);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_dropped_read_is_closed_and_a_change_goes_on() {
    let engine = HeldEngine::default();
    let backend = backend_with(&[], limits(), engine.clone());
    let handle = backend.launch().await.unwrap();
    for id in ["never", "late-wake"] {
        let object = reference(id);
        let read = handle.inspect(&object);
        tokio::time::timeout(Duration::from_millis(100), read)
            .await
            .unwrap_err();
        eventually("the read has ended", || handle.usage().calls == 0).await;
    }
    let id = container("request");
    tokio::select! {
        result = handle.act(&id, ContainerAction::Start) => panic!("{result:?} without a response"),
        () = eventually("the engine has the request", || engine.is_connected()) => {}
    }
    // The library has been polled since the change was dropped.
    handle.inspect(&reference("web")).await.unwrap();
    assert_eq!(handle.usage().changes, 1);
    engine.release();
    eventually("the change has ended", || handle.usage().changes == 0).await;
    // Longer than the thread of `late-wake` waits before it wakes.
    handle.inspect(&reference("slow")).await.unwrap();
    handle.inspect(&reference("slow")).await.unwrap();
    finish(backend, handle).await;
}

#[tokio::test]
async fn calls_that_never_return_end_with_the_handle() {
    let (backend, handle) = launched(limits()).await;
    let handle = std::sync::Arc::new(handle);
    let caller = handle.clone();
    let change = tokio::spawn(async move {
        caller
            .act(&container("never"), ContainerAction::Start)
            .await
    });
    eventually("the change has begun", || handle.usage().calls == 1).await;
    use rdd_plugin_contract::PluginBackend as _;
    backend.shutdown().await;
    let error = change.await.unwrap().unwrap_err();
    assert!(error.message.contains("was shut down"), "{error}");
    assert_eq!(backend.abandoned_threads(), 0);
}

#[tokio::test]
async fn timers_and_connections_are_limited_and_returned() {
    let (backend, handle) = launched(limits()).await;
    for (id, expected) in [
        ("sleeps", "4096 timers, the maximum"),
        (
            "connects",
            "8 connections to the engine are open, the maximum",
        ),
    ] {
        let error = handle.inspect(&reference(id)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{id}");
        assert!(error.message.contains(expected), "{id}: {error}");
    }
    handle.inspect(&reference("echo")).await.unwrap();
    finish(backend, handle).await;
}

#[tokio::test]
async fn lines_beyond_the_limit_are_dropped_without_an_error() {
    let (backend, handle) = launched(limits()).await;
    handle.inspect(&reference("log-flood")).await.unwrap();
    finish(backend, handle).await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_a_ping_is_lost() {
    let limits = BackendLimits {
        idle_before_ping: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(50),
        ..limits()
    };
    let backend = backend_with(&[], limits, SilentEngine);
    let handle = backend.launch().await.unwrap();
    let error = handle.inspect(&reference("echo")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("not even to a ping"), "{error}");
    let options = LogOptions::default();
    let log = handle.get_logs(&container("relay"), &options).await;
    let items: Vec<_> = log.unwrap().collect().await;
    let [Err(error)] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(error.code, ErrorCode::Unavailable);
}
