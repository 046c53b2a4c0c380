//! How a process and its client part.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use rdd_core::{ServingState, UnavailableReason};
use rdd_testkit::eventually;
use tokio_tungstenite::tungstenite::Message;

use super::client::{ExecClient, STDIN, V5, exec, wait_for_no_process};
use crate::common::{TestServer, ready};

async fn start(command: &str, options: &str) -> (TestServer, String, ExecClient) {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let client = ExecClient::open(&server, &exec(&id, command, options), V5).await;
    assert_eq!(server.engine.process_count(), 1);
    (server, id, client)
}

async fn wait_for_no_session(server: &TestServer) {
    eventually("the session ended", || async {
        match server.passthrough.session_count() {
            0 => Ok(()),
            count => Err(format!("{count} sessions")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_connection_to_the_process() {
    for (command, options) in [
        ("sleep", "stdout=true"),
        ("sleep", "stdin=true&stdout=true"),
        ("yes x", "stdout=true"),
        ("close-output", "stdin=true&stdout=true"),
    ] {
        let (server, _, client) = start(command, options).await;
        drop(client);
        wait_for_no_process(&server.engine).await;
        wait_for_no_session(&server).await;
    }
}

#[tokio::test]
async fn a_close_frame_of_the_client_is_answered_and_ends_the_connection() {
    let (server, _, mut client) = start("sleep", "stdin=true&stdout=true").await;
    client.0.close(None).await.unwrap();
    while let Some(Ok(_)) = client.0.next().await {}
    wait_for_no_process(&server.engine).await;
    wait_for_no_session(&server).await;
}

/// Sends input to a process that does not read until the connection is full.
/// Returns the number of bytes that were taken.
async fn fill(client: &mut ExecClient) -> usize {
    let mut sent = 0;
    let piece = Message::binary([&[STDIN], &vec![b'x'; 256 * 1024][..]].concat());
    loop {
        let sending = client.0.send(piece.clone());
        match tokio::time::timeout(Duration::from_secs(1), sending).await {
            Ok(result) => result.unwrap(),
            Err(_) => return sent,
        }
        sent += piece.len() - 1;
        assert!(
            sent < 256 * 1024 * 1024,
            "the input is buffered without limit"
        );
    }
}

#[tokio::test]
async fn a_process_that_does_not_read_slows_its_client_down_and_its_output_goes_on() {
    let (server, _, mut client) = start("yes x", "stdin=true&stdout=true").await;
    fill(&mut client).await;
    let mut received = 0;
    while received < 4 * 1024 * 1024 {
        received += client.0.next().await.unwrap().unwrap().len();
    }
    // Nobody reads what the client sends, and yet its end is noticed.
    drop(client);
    wait_for_no_process(&server.engine).await;
    wait_for_no_session(&server).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_process_down_and_its_input_goes_on() {
    let (server, _, mut client) = start("cat", "stdin=true&stdout=true").await;
    // The echo fills every buffer between the process and the client.
    let sent = fill(&mut client).await;
    assert_eq!(server.engine.process_count(), 1);
    let mut received = 0;
    while received < sent {
        if let Message::Binary(bytes) = client.0.next().await.unwrap().unwrap() {
            received += bytes.len() - 1;
        }
    }
    client.end_input().await;
    client.finish().await.assert_exited(0);
}

#[tokio::test]
async fn the_shutdown_of_the_daemon_closes_with_1001() {
    let (server, _, mut client) = start("sleep", "stdin=true&stdout=true").await;
    let (result, ()) = tokio::join!(client.finish(), server.passthrough.shutdown());
    assert_eq!(
        result.close,
        Some((1001, "the daemon is shutting down".to_owned()))
    );
    assert!(result.statuses.is_empty(), "nothing is known: {result:?}");
    wait_for_no_process(&server.engine).await;
}

#[tokio::test]
async fn the_stop_of_the_app_and_another_backend_close_with_1001() {
    let (server, _, mut client) = start("sleep", "stdin=true&stdout=true").await;
    server.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::Stopped);
    });
    let close = client.finish().await.close;
    let reason = "the container engine was stopped".to_owned();
    assert_eq!(close, Some((1001, reason)));

    let (server, _, mut client) = start("sleep", "stdin=true&stdout=true").await;
    server.serving.send_modify(|snapshot| {
        snapshot.backend = "other".to_owned();
    });
    let close = client.finish().await.close;
    let reason = "another backend was selected".to_owned();
    assert_eq!(close, Some((1001, reason)));
    wait_for_no_process(&server.engine).await;
}

#[tokio::test]
async fn an_engine_that_is_lost_closes_with_1013_and_a_failed_backend_with_1011() {
    let (server, _, mut client) = start("sleep", "stdin=true&stdout=true").await;
    server.engine.go_offline("connection reset");
    let result = client.finish().await;
    assert_eq!(result.statuses[0]["reason"], "InternalError");
    let message = result.statuses[0]["message"].as_str().unwrap();
    assert!(message.ends_with("connection reset"), "{message}");
    assert_eq!(result.close, Some((1013, "connection reset".to_owned())));

    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let path = exec(&id, "crash", "stdout=true");
    let result = ExecClient::open(&server, &path, V5).await.finish().await;
    assert_eq!(result.statuses[0]["reason"], "InternalError");
    assert_eq!(
        result.close,
        Some((1011, "the fake backend crashed".to_owned()))
    );
}

#[tokio::test]
async fn an_unreachable_engine_that_still_has_the_process_does_not_end_the_session() {
    let (server, _, mut client) = start("cat", "stdin=true&stdout=true").await;
    server.serving.send_modify(|snapshot| {
        let reason = "no answer".to_owned();
        snapshot.serving =
            ServingState::Unavailable(UnavailableReason::EngineUnreachable { reason });
    });
    server
        .serving
        .send_modify(|snapshot| *snapshot = ready(&server.engine));
    client.send(STDIN, b"x").await;
    assert_eq!(client.next().await, (1, "x".to_owned()));
}

#[tokio::test]
async fn the_end_of_the_container_is_the_exit_code_of_its_processes() {
    let (server, id, mut client) = start("sleep", "stdin=true&stdout=true").await;
    server.engine.stop(&id);
    client.finish().await.assert_exited(137);
}

#[tokio::test]
async fn a_process_that_closes_its_input_goes_on() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let path = exec(&id, "close-input", "stdin=true&stdout=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    client.send(STDIN, b"nobody reads this").await;
    let result = client.finish().await;
    assert_eq!(result.stdout, b"closed\n");
    result.assert_exited(0);
}
