//! The shutdown on signals.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, WatchEvent, WatchParams};
use rdd_testkit::PATIENCE;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::instance::TestInstance;

/// Requests in flight have three seconds to finish. A shutdown that waits for a
/// watch or an idle connection takes longer than this.
const WITHOUT_GRACE: Duration = Duration::from_millis(2500);

/// Checks that something takes less than the grace period. A busy machine may need
/// longer once, a daemon that waits for the grace period each time.
async fn check_without_grace(what: impl AsyncFn() -> Duration) {
    let mut took = Vec::new();
    while took.iter().all(|took| *took >= WITHOUT_GRACE) {
        assert!(took.len() < 3, "{took:?}");
        took.push(what().await);
    }
}

#[tokio::test]
async fn a_shutdown_ends_a_watch_gracefully_and_does_not_wait_for_it() {
    check_without_grace(shutdown_with_a_watch).await;
}

async fn shutdown_with_a_watch() -> Duration {
    let mut instance = TestInstance::new();
    instance.start().await;
    let namespaces: Api<Namespace> = Api::all(instance.client().await);
    let watch = namespaces
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap();
    let mut watch = watch.boxed();
    assert!(matches!(
        watch.try_next().await.unwrap(),
        Some(WatchEvent::Added(_))
    ));

    let began = Instant::now();
    instance.signal(Signal::TERM);
    // The stream ends without an error.
    while watch.try_next().await.unwrap().is_some() {}
    let exited = instance.wait_for_exit().await;
    assert_eq!(exited.status.code(), Some(0), "{}", exited.log);
    began.elapsed()
}

#[tokio::test]
async fn a_start_during_a_shutdown_waits_for_the_previous_daemon() {
    let mut instance = TestInstance::new();
    instance.start().await;
    for _ in 0..3 {
        instance.signal(Signal::TERM);
        // A daemon that has not noticed the signal is taken for one that goes on.
        instance.wait_for_log("a second signal exits at once").await;
        let mut previous = instance.take_process();
        instance.start().await;
        assert_eq!(previous.wait().await.unwrap().code(), Some(0));
    }
    // The lock is held, so another daemon is rejected.
    let output = instance.rdd(&["serve"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("another daemon is running on"), "{error}");
}

#[tokio::test]
async fn a_daemon_that_is_stopped_during_its_start_does_not_block_the_next_one() {
    let mut instance = TestInstance::new();
    let mut previous = Vec::new();
    for _ in 0..5 {
        instance.spawn(&[]);
        previous.push(instance.take_process());
        let pid = previous.last().unwrap().id().unwrap();
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    }
    // One that has not noticed its signal is taken for one that goes on.
    let started = Instant::now();
    instance.spawn(&[]);
    while let Some(exited) = instance.wait_for_ready_or_exit().await {
        let is_taken = exited.log.contains("another daemon is running on");
        assert!(is_taken && started.elapsed() < PATIENCE, "{}", exited.log);
        instance.spawn(&[]);
    }
    for mut daemon in previous {
        daemon.wait().await.unwrap();
    }
    instance.signal(Signal::TERM);
    assert_eq!(instance.wait_for_exit().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    check_without_grace(second_signal).await;
}

async fn second_signal() -> Duration {
    let mut instance = TestInstance::new();
    instance.start().await;
    // A body that is never sent keeps a request in flight until the grace period ends.
    let mut stuck = instance.connect().await;
    let request = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n",
        instance.token()
    );
    stuck.write_all(request.as_bytes()).await.unwrap();
    // The response to `expect` shows that the request is being read.
    let mut response = [0; 12];
    stuck.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 100");
    instance.signal(Signal::TERM);
    instance.wait_for_log("a second signal exits at once").await;
    let began = Instant::now();
    instance.signal(Signal::INT);
    let exited = instance.wait_for_exit().await;
    match exited.status.code() {
        Some(130) => began.elapsed(),
        // The grace period had ended before the second signal.
        Some(0) => WITHOUT_GRACE,
        _ => panic!("{}: {}", exited.status, exited.log),
    }
}
