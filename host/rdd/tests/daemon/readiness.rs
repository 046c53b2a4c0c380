//! When a daemon tells that it is ready.

use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use rdd_testkit::PATIENCE;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::instance::TestInstance;

/// Starts of the daemon: what is wrong for a millisecond is not seen at each.
const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_finds_the_daemon_is_served() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let request = format!(
        "GET /api/v1/namespaces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
        instance.token()
    );
    for round in 0..ROUNDS {
        instance.signal(Signal::TERM);
        instance.wait_for_exit().await;
        let entry = instance.state().join("discovery.json");
        let last = entry.metadata().unwrap().ino();
        instance.spawn(&[]);
        // Its port is the one of before, and the connection is open when it is ready.
        let mut connection = instance.connect_early().await;
        let began = Instant::now();
        // Without a pause: the request is sent at the moment of the announcement.
        while entry.metadata().unwrap().ino() == last {
            assert!(began.elapsed() < PATIENCE, "{}", instance.log());
            tokio::task::yield_now().await;
        }
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        connection.read_exact(&mut status).await.unwrap();
        let status = String::from_utf8_lossy(&status);
        assert_eq!(status, "HTTP/1.1 200", "in round {round}");
        instance.wait_for_ready_or_exit().await;
    }
}
