//! A low limit of open files limits the connections and does not break the
//! daemon.

use rustix::process::Signal;
use tokio::time::timeout;

use rdd_testkit::PATIENCE;

use crate::instance::TestInstance;

#[tokio::test]
async fn more_connections_than_descriptors_do_not_affect_clients() {
    let mut instance = TestInstance::new();
    instance.limit_open_files(200);
    instance.start().await;
    assert!(
        instance.log().contains("the limit of open files is low"),
        "{}",
        instance.log()
    );
    let mut connections = Vec::new();
    for _ in 0..300 {
        connections.push(instance.connect().await);
    }
    let client = instance.client().await;
    let version = timeout(PATIENCE, client.apiserver_version()).await;
    assert!(version.unwrap().is_ok(), "{}", instance.log());
    instance
        .wait_for_log("too many connections without credentials")
        .await;
    assert!(!instance.log().contains("cannot accept connections"));
    drop(connections);
    instance.signal(Signal::TERM);
    assert_eq!(instance.wait_for_exit().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_limit_that_is_too_low_is_rejected_with_the_remedy() {
    let mut instance = TestInstance::new();
    instance.limit_open_files(100);
    instance.spawn(&[]);
    let exited = instance.wait_for_exit().await;
    assert_eq!(exited.status.code(), Some(1));
    assert!(exited.log.contains("ulimit -n"), "{}", exited.log);
}
