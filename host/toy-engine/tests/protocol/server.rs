//! Connections and the socket.

use std::os::unix::fs::PermissionsExt;

use rdd_testkit::eventually;
use rdd_toy_engine::{ListenError, ToyEngine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{TestEngine, read_until};

#[tokio::test]
async fn a_client_that_leaves_is_noticed_also_after_a_half_close() {
    let test = TestEngine::start();
    test.container("main", "web");
    for is_half_closed in [false, true] {
        let mut log = test.connect().await;
        log.write_all(b"logs\tmain\tweb\nfollow\n\n").await.unwrap();
        read_until(&mut log, b"ok\n").await;
        if is_half_closed {
            log.shutdown().await.unwrap();
        }
        assert_eq!(test.engine.connections().get("logs"), Some(&1));
        drop(log);
        eventually("the end of the connection", || async {
            match test.engine.connections().get("logs") {
                Some(0) => Ok(()),
                open => Err(format!("{open:?} are open")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn connections_are_cut_and_requests_fail_as_scripted() {
    let test = TestEngine::start();
    let mut watch = test.connect().await;
    watch.write_all(b"watch\n\n").await.unwrap();
    read_until(&mut watch, b"ready\n").await;
    test.engine.cut_connections();
    let mut rest = Vec::new();
    watch.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
    let error = rdd_core::EngineError::new(rdd_core::ErrorCode::Timeout, "too slow");
    test.engine.fail_next("ping", error);
    assert_eq!(
        test.exchange("ping\n\n").await,
        "error\ttimeout\ttoo slow\n"
    );
    assert_eq!(test.exchange("ping\n\n").await, "ok\n");
}

#[tokio::test]
async fn a_socket_is_private_and_replaced_only_if_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.sock");
    let engine = ToyEngine::new();
    let server = engine.listen(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(engine.listen(&path), Err(ListenError::InUse(_))));
    server.shutdown().await;
    assert!(!path.exists());
    // A socket that a killed process left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    engine.listen(&path).unwrap().shutdown().await;
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(
        engine.listen(&path),
        Err(ListenError::NotASocket(_))
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
