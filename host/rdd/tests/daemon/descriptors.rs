//! A low limit of open files costs connections, not the daemon.

use rustix::process::Signal;
use tokio::time::timeout;

use crate::instance::{Instance, PATIENCE};

#[tokio::test]
async fn more_connections_than_descriptors_harm_nobody() {
    let mut instance = Instance::new();
    instance.limit_open_files(200);
    instance.start().await;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(instance.connect().await);
    }
    let client = instance.client().await;
    let version = timeout(PATIENCE, client.apiserver_version()).await;
    assert!(version.unwrap().is_ok(), "{}", instance.log());
    instance
        .logged("too many connections without credentials")
        .await;
    assert!(!instance.log().contains("cannot be accepted"));
    drop(crowd);
    instance.signal(Signal::TERM);
    assert_eq!(instance.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_limit_that_leaves_nothing_is_refused_with_the_remedy() {
    let mut instance = Instance::new();
    instance.limit_open_files(100);
    instance.spawn(&[]);
    let ended = instance.ended().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("ulimit -n"), "{}", ended.log);
}
