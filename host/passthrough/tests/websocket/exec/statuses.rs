//! Every status of the exec endpoint, and the order of the checks.

use rdd_core::{
    Capabilities, ContainerEngine as _, EngineError, ErrorCode, ServingSnapshot, ServingState,
    UnavailableReason,
};
use rdd_testkit::{EngineOperation, FakeEngine};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{ExecClient, V5, exec};
use crate::common::{TestServer, ready};

const UNKNOWN_ID: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Requests a WebSocket and expects an error. Returns its status and message.
async fn rejection(server: &TestServer, path: &str) -> (u16, String) {
    let headers = [("sec-websocket-protocol", V5)];
    let response = server.connect_with(path, &headers).await.expect_err(path);
    let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    (response.status().as_u16(), body)
}

/// Sends a request that is no WebSocket. Returns the head and body of the response.
async fn plain(server: &TestServer, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

fn unavailable(reason: UnavailableReason) -> ServingSnapshot {
    ServingSnapshot {
        backend: "moby".to_owned(),
        info: None,
        serving: ServingState::Unavailable(reason),
    }
}

#[tokio::test]
async fn each_check_has_its_status_and_nothing_is_started() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let stopped = server.engine.create_container("stopped");
    let paused = server.engine.run_container("paused");
    server.engine.pause(&paused);
    for (mirror, namespace) in [("ctr-1", "shop"), ("ctr-2", "play")] {
        server.index(mirror, namespace, &"a".repeat(64));
    }
    for (path, status, words) in [
        ("/passthrough/engine/exec".to_owned(), 404, "/exec/"),
        (exec("web", "ls", ""), 400, "not a full container ID"),
        (exec(&id[..12], "ls", ""), 400, "not a full container ID"),
        (
            format!("/passthrough/engine/exec/{id}"),
            400,
            "no parameter command",
        ),
        (exec(&id, "ls", "tail=5"), 400, "\"tail\""),
        (exec(&id, "ls", "stdout=false"), 400, "all false"),
        (exec(&"a".repeat(64), "ls", ""), 409, "(play, shop)"),
        (exec(UNKNOWN_ID, "ls", ""), 404, UNKNOWN_ID),
        (exec(&stopped, "ls", ""), 409, "is not running"),
        (exec(&paused, "ls", ""), 409, "is paused"),
    ] {
        let (code, body) = rejection(&server, &path).await;
        assert_eq!(code, status, "{path}: {body}");
        assert!(body.contains(words), "{path}: {body}");
        // The same without a WebSocket.
        let response = plain(&server, "GET", &path).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {response}"
        );
        assert!(response.contains(words), "{path}: {response}");
    }
    assert_eq!(server.engine.process_count(), 0);
    assert_eq!(server.passthrough.session_count(), 0);
}

#[tokio::test]
async fn a_request_without_a_valid_handshake_is_426_and_starts_nothing() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let response = plain(&server, "GET", &exec(&id, "ls", "")).await;
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
    assert!(response.contains("upgrade: websocket"), "{response}");
    assert!(response.contains("process are streamed"), "{response}");
    let (code, body) = {
        let headers = [("sec-websocket-version", "8")];
        let path = exec(&id, "ls", "");
        let response = server.connect_with(&path, &headers).await.unwrap_err();
        let body = response.body().clone().unwrap_or_default();
        (response.status().as_u16(), String::from_utf8(body).unwrap())
    };
    assert_eq!(code, 426, "{body}");
    assert_eq!(server.engine.call_count(EngineOperation::Exec), 0);
}

#[tokio::test]
async fn another_method_than_get_is_405() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let response = plain(&server, "POST", &exec(&id, "ls", "")).await;
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert!(response.contains("allow: GET"), "{response}");
}

#[tokio::test]
async fn a_read_only_daemon_refuses_with_403_before_any_other_check() {
    let server = TestServer::start_read_only().await;
    let id = server.engine.run_container("web");
    for path in [
        exec(&id, "ls", ""),
        exec(UNKNOWN_ID, "ls", ""),
        format!("/passthrough/engine/exec/{id}?x=y"),
    ] {
        let (code, body) = rejection(&server, &path).await;
        assert_eq!(code, 403, "{path}");
        assert!(body.contains("--read-only"), "{body}");
        let response = plain(&server, "POST", &path).await;
        assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    }
    assert_eq!(server.engine.call_count(EngineOperation::Exec), 0);
    let logs = format!("/passthrough/engine/logs/{id}");
    assert!(server.connect(&logs).await.is_ok(), "logs can be read");
}

#[tokio::test]
async fn a_backend_that_cannot_run_processes_is_501() {
    let engine = FakeEngine::named("moby");
    let id = engine.run_container("web");
    let mut info = engine.info().clone();
    info.capabilities = Capabilities {
        exec: false,
        ..Capabilities::ALL
    };
    let snapshot = ServingSnapshot {
        info: Some(info.clone()),
        ..ready(&engine)
    };
    let server = TestServer::start_with(engine.clone(), snapshot).await;
    let (code, body) = rejection(&server, &exec(&id, "ls", "")).await;
    assert_eq!(code, 501);
    assert!(body.contains("cannot run processes"), "{body}");
    // Also while the engine is unreachable.
    server.serving.send_modify(|snapshot| {
        snapshot.serving = ServingState::Unavailable(UnavailableReason::Starting);
    });
    assert_eq!(rejection(&server, &exec(&id, "ls", "")).await.0, 501);
}

#[tokio::test]
async fn an_engine_that_is_not_available_is_503_and_a_missing_backend_501() {
    for (reason, status, words) in [
        (UnavailableReason::Stopped, 503, "is stopped"),
        (UnavailableReason::Starting, 503, "is starting"),
        (
            UnavailableReason::EngineUnreachable {
                reason: "no socket".to_owned(),
            },
            503,
            "no socket",
        ),
        (
            UnavailableReason::BackendNotInstalled {
                backend: "moby".to_owned(),
                reason: "install one".to_owned(),
            },
            501,
            "install one",
        ),
    ] {
        let engine = FakeEngine::named("moby");
        let server = TestServer::start_with(engine, unavailable(reason)).await;
        let (code, body) = rejection(&server, &exec(UNKNOWN_ID, "ls", "")).await;
        assert_eq!(code, status, "{body}");
        assert!(body.contains(words), "{body}");
    }
}

#[tokio::test]
async fn each_error_of_the_engine_has_its_status() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for (error, status) in [
        (ErrorCode::NotFound, 404),
        (ErrorCode::Conflict, 409),
        (ErrorCode::InvalidArgument, 400),
        (ErrorCode::Unsupported, 501),
        (ErrorCode::Unavailable, 503),
        (ErrorCode::PermissionDenied, 503),
        (ErrorCode::Timeout, 503),
        (ErrorCode::PluginFailed, 503),
        (ErrorCode::StreamFailed, 502),
        (ErrorCode::Internal, 502),
    ] {
        let failure = EngineError::new(error.clone(), "scripted");
        server
            .engine
            .fail_next(EngineOperation::Exec, Some(&id), failure);
        let (code, body) = rejection(&server, &exec(&id, "ls", "")).await;
        assert_eq!(code, status, "{error}: {body}");
    }
}

#[tokio::test]
async fn processes_and_logs_share_the_limit_of_streams() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let path = exec(&id, "sleep", "stdout=true");
    let mut held = Vec::new();
    for _ in 0..rdd_passthrough::limits::MAX_STREAMS_PER_USER {
        held.push(ExecClient::open(&server, &path, V5).await);
    }
    let (code, body) = rejection(&server, &path).await;
    assert_eq!(code, 429, "{body}");
    let logs = format!("/passthrough/engine/logs/{id}");
    assert_eq!(server.connect(&logs).await.unwrap_err().status(), 429);
    drop(held);
    rdd_testkit::eventually("the permits are released", || async {
        match server.passthrough.session_count() {
            0 => Ok(()),
            count => Err(format!("{count} sessions")),
        }
    })
    .await;
    ExecClient::open(&server, &path, V5).await;
}
