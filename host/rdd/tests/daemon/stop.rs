//! Signals, and what follows from them.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, WatchEvent, WatchParams};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::instance::Instance;

/// Requests under way have three seconds: a stop that waits for a watch, or
/// for a connection that is merely open, takes longer than this.
const WITHOUT_GRACE: Duration = Duration::from_millis(2500);

#[tokio::test]
async fn a_stop_ends_a_watch_in_order_and_does_not_wait_for_it() {
    let mut instance = Instance::new();
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
    // No error: the stream comes to its end.
    while watch.try_next().await.unwrap().is_some() {}
    let ended = instance.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(began.elapsed() < WITHOUT_GRACE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_start_right_after_a_stop_waits_for_the_one_that_ends() {
    let mut instance = Instance::new();
    instance.start().await;
    for _ in 0..3 {
        instance.signal(Signal::TERM);
        let mut former = instance.take();
        instance.start().await;
        assert_eq!(former.wait().await.unwrap().code(), Some(0));
    }
    // The lock is this daemon's: one more is refused.
    let output = instance.rdd(&["serve"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("another daemon runs on"), "{error}");
}

#[tokio::test]
async fn a_daemon_that_is_stopped_while_it_starts_keeps_nothing_from_the_next() {
    let mut instance = Instance::new();
    let mut former = Vec::new();
    for _ in 0..5 {
        instance.spawn(&[]);
        former.push(instance.take());
        let pid = former.last().unwrap().id().unwrap();
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    }
    instance.start().await;
    for mut daemon in former {
        daemon.wait().await.unwrap();
    }
    instance.signal(Signal::TERM);
    assert_eq!(instance.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_daemon_at_once() {
    let mut instance = Instance::new();
    instance.start().await;
    // A body that never comes keeps a request under way for as long as a stop allows.
    let mut stuck = instance.connect().await;
    let request = format!(
        "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n",
        instance.token()
    );
    stuck.write_all(request.as_bytes()).await.unwrap();
    // The answer to `expect` says that the request is being read.
    let mut answer = [0; 12];
    stuck.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    instance.signal(Signal::TERM);
    instance
        .logged("a second signal ends the daemon at once")
        .await;
    let began = Instant::now();
    instance.signal(Signal::INT);
    let ended = instance.ended().await;
    assert_eq!(ended.status.code(), Some(128 + 2), "{}", ended.log);
    assert!(began.elapsed() < WITHOUT_GRACE, "{:?}", began.elapsed());
}
