//! Every status of the log endpoint, its message, and the order of the checks.

use super::common::{TestServer, ready, without_logs};
use rdd_core::{
    ContainerEngine as _, EngineError, ErrorCode, ServingSnapshot, ServingState, UnavailableReason,
};
use rdd_testkit::{EngineOperation, FakeEngine, PATIENCE, eventually};

const UNKNOWN_ID: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn logs(id: &str) -> String {
    format!("/passthrough/engine/logs/{id}")
}

/// Requests a WebSocket and expects an error. Returns its status, `Retry-After`,
/// and message.
async fn rejection(server: &TestServer, path: &str) -> (u16, Option<String>, String) {
    let response = server.connect(path).await.expect_err(path);
    let retry = response
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    (response.status().as_u16(), retry, body)
}

fn unavailable(why: UnavailableReason, engine: Option<&FakeEngine>) -> ServingSnapshot {
    ServingSnapshot {
        backend: "containerd".to_owned(),
        info: engine.map(|engine| engine.info().clone()),
        serving: ServingState::Unavailable(why),
    }
}

#[tokio::test]
async fn an_id_in_another_format_than_the_backends_is_400() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for bad in [
        id[..12].to_owned(),
        id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
        format!("{id}0"),
        format!("{}g", &id[..63]),
        "web".to_owned(),
        "..%2f..%2fjson".to_owned(),
    ] {
        let (status, _, body) = rejection(&server, &logs(&bad)).await;
        assert_eq!(status, 400, "{bad}");
        assert!(body.contains("64 lower-case hexadecimal digits"), "{body}");
    }
    assert_eq!(
        server.engine.call_count(EngineOperation::GetLogs),
        0,
        "an invalid ID reached the engine"
    );
    assert!(server.connect(&logs(&id)).await.is_ok());
}

#[tokio::test]
async fn an_id_of_several_namespaces_is_409_and_they_are_named() {
    let server = TestServer::start().await;
    for (mirror, namespace) in [("ctr-1", "shop"), ("ctr-2", "play")] {
        server.index(mirror, namespace, UNKNOWN_ID);
    }
    let (status, _, body) = rejection(&server, &logs(UNKNOWN_ID)).await;
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("(play, shop)"), "{body}");
    let one = format!("{}?namespace=shop", logs(UNKNOWN_ID));
    let (status, _, body) = rejection(&server, &one).await;
    assert_eq!(status, 404, "the engine was asked: {body}");
    // A name that is no ID is not passed on to the engine.
    let calls = server.engine.call_count(EngineOperation::GetLogs);
    let other = format!("{}?namespace=play", logs("ctr-1"));
    let (status, _, body) = rejection(&server, &other).await;
    assert_eq!(status, 404, "{body}");
    assert_eq!(server.engine.call_count(EngineOperation::GetLogs), calls);
    let (status, _, body) = rejection(&server, &logs("ctr-3")).await;
    assert_eq!(status, 400, "no such mirror: {body}");
}

#[tokio::test]
async fn an_invalid_parameter_is_400_and_named() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for (query, named) in [
        ("tail=-1", "tail"),
        ("follow=maybe", "follow"),
        ("since=yesterday", "since"),
        ("stdout=false&stderr=false", "stdout"),
        ("color=red", "color"),
    ] {
        let (status, _, body) = rejection(&server, &format!("{}?{query}", logs(&id))).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.contains(named), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_backend_that_is_not_installed_is_501_rather_than_503() {
    let why = UnavailableReason::BackendNotInstalled {
        backend: "containerd".to_owned(),
        reason: "no plugin of that name; install one".to_owned(),
    };
    let server = TestServer::start_with(FakeEngine::named("moby"), unavailable(why, None)).await;
    let (status, retry, body) = rejection(&server, &logs(UNKNOWN_ID)).await;
    assert_eq!((status, retry), (501, None));
    assert!(
        body.contains("\"containerd\"") && body.contains("install one"),
        "{body}"
    );
}

#[tokio::test]
async fn a_backend_that_cannot_read_logs_is_501() {
    let engine = FakeEngine::named("moby");
    let info = without_logs(engine.info());
    let server = TestServer::start_with(
        engine.clone(),
        ServingSnapshot {
            info: Some(info),
            ..ready(&engine)
        },
    )
    .await;
    let (status, _, body) = rejection(&server, &logs(UNKNOWN_ID)).await;
    assert_eq!(status, 501);
    assert!(body.contains("cannot read logs"), "{body}");
}

#[tokio::test]
async fn an_unreadable_log_driver_is_501_with_the_engines_message() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    server.engine.fail(
        EngineOperation::GetLogs,
        Some(&id),
        EngineError::new(
            ErrorCode::Unsupported,
            "configured logging driver does not support reading",
        ),
    );
    let (status, _, body) = rejection(&server, &logs(&id)).await;
    assert_eq!(status, 501);
    assert!(body.contains("does not support reading"), "{body}");
}

#[tokio::test]
async fn a_backend_that_is_temporarily_unavailable_is_503_with_the_reason() {
    let engine = FakeEngine::named("moby");
    for (reason, text) in [
        (UnavailableReason::Stopped, "stopped"),
        (UnavailableReason::Starting, "not answered yet"),
        (
            UnavailableReason::EngineUnreachable {
                reason: "no such file".to_owned(),
            },
            "no such file",
        ),
        (
            UnavailableReason::BackendRestarting {
                reason: "out of bounds".to_owned(),
            },
            "out of bounds",
        ),
    ] {
        let server =
            TestServer::start_with(engine.clone(), unavailable(reason, Some(&engine))).await;
        let (status, retry, body) = rejection(&server, &logs(UNKNOWN_ID)).await;
        assert_eq!(status, 503, "{text}");
        assert!(retry.is_some(), "{text}");
        assert!(body.contains(text), "{body}");
    }
}

#[tokio::test]
async fn a_limit_of_the_backend_is_429_with_its_sentence_and_not_an_unreachable_engine() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let sentence = "100 exec sessions of the backend moby are open, the maximum; close some";
    for (operation, path) in [
        (EngineOperation::GetLogs, logs(&id)),
        (
            EngineOperation::Exec,
            format!("/passthrough/engine/exec/{id}?command=true&stdout=true"),
        ),
    ] {
        let error = EngineError::new(ErrorCode::LimitReached, sentence);
        server.engine.fail(operation, None, error);
        let (status, retry, text) = rejection(&server, &path).await;
        assert_eq!((status, retry.as_deref()), (429, Some("10")), "{text}");
        assert!(
            text.contains(sentence) && !text.contains("reached"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_engine_that_fails_after_the_snapshot_is_503() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for code in [
        ErrorCode::Unavailable,
        ErrorCode::Timeout,
        ErrorCode::PluginFailed,
        ErrorCode::PermissionDenied,
    ] {
        server.engine.fail_next(
            EngineOperation::GetLogs,
            None,
            EngineError::new(code.clone(), "gone"),
        );
        let (status, retry, _) = rejection(&server, &logs(&id)).await;
        assert_eq!((status, retry.is_some()), (503, true), "{code}");
    }
    // The backend keeps running, but the next log would fail in the same way.
    server.engine.fail_next(
        EngineOperation::GetLogs,
        None,
        EngineError::new(ErrorCode::StreamFailed, "it trapped"),
    );
    let (status, retry, _) = rejection(&server, &logs(&id)).await;
    assert_eq!((status, retry.is_some()), (502, false));
}

#[tokio::test]
async fn an_unknown_container_is_404() {
    let server = TestServer::start().await;
    let (status, _, body) = rejection(&server, &logs(UNKNOWN_ID)).await;
    assert_eq!(status, 404);
    assert!(body.contains(UNKNOWN_ID), "{body}");
}

#[tokio::test]
async fn a_log_does_not_require_a_mirror() {
    // There are no mirrors in this test: clients need not wait for one.
    let server = TestServer::start().await;
    let id = server.engine.create_container("new");
    assert!(server.connect(&logs(&id)).await.is_ok());
}

#[tokio::test]
async fn an_unknown_controller_or_endpoint_is_404() {
    let server = TestServer::start().await;
    for path in [
        "/passthrough/",
        "/passthrough/engine/attach/x",
        "/passthrough/git/logs/x",
    ] {
        assert_eq!(rejection(&server, path).await.0, 404, "{path}");
    }
}

async fn send_plain(server: &TestServer, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_plain_request_is_426_with_the_remedy() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let answer = send_plain(
        &server,
        &format!("GET {} HTTP/1.1\nhost: x\nconnection: close\n\n", logs(&id)),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nupgrade: websocket\r\n"),
        "{answer}"
    );
    assert!(answer.contains("rdd logs"), "{answer}");
}

#[tokio::test]
async fn a_plain_request_passes_the_same_checks_before_426() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    for (path, status) in [
        (logs("short"), 400),
        (format!("{}?tail=x", logs(&id)), 400),
        (logs(UNKNOWN_ID), 404),
    ] {
        let answer = send_plain(
            &server,
            &format!("GET {path} HTTP/1.1\nhost: x\nconnection: close\n\n"),
        )
        .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
    }
    let answer = send_plain(
        &server,
        &format!(
            "POST {} HTTP/1.1\nhost: x\nconnection: close\ncontent-length: 0\n\n",
            logs(&id)
        ),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("GET"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_order_of_checks_is_id_parameters_501_503_404() {
    // Everything is wrong at first; each fix reveals the next error.
    let engine = FakeEngine::named("moby");
    let info = without_logs(engine.info());
    let down = UnavailableReason::EngineUnreachable {
        reason: "down".to_owned(),
    };
    let server = TestServer::start_with(
        engine.clone(),
        ServingSnapshot {
            info: Some(info),
            ..unavailable(down.clone(), Some(&engine))
        },
    )
    .await;
    assert_eq!(
        rejection(&server, "/passthrough/engine/logs/short?tail=x")
            .await
            .0,
        400
    );
    let (status, _, body) = rejection(&server, &format!("{}?tail=x", logs(UNKNOWN_ID))).await;
    assert_eq!((status, body.contains("tail")), (400, true), "{body}");
    assert_eq!(rejection(&server, &logs(UNKNOWN_ID)).await.0, 501);
    server
        .serving
        .send_replace(unavailable(down, Some(&engine)));
    assert_eq!(rejection(&server, &logs(UNKNOWN_ID)).await.0, 503);
    server.serving.send_replace(ready(&engine));
    assert_eq!(rejection(&server, &logs(UNKNOWN_ID)).await.0, 404);
}

#[tokio::test]
async fn too_many_streams_of_one_user_are_429() {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    let mut sockets = Vec::new();
    let rejected = loop {
        match server.connect(&logs(&id)).await {
            Ok(socket) => sockets.push(socket),
            Err(response) => break response,
        }
    };
    assert_eq!(sockets.len(), rdd_passthrough::limits::MAX_STREAMS_PER_USER);
    assert_eq!(rejected.status().as_u16(), 429);
    assert!(rejected.headers().contains_key("retry-after"));
    assert!(
        server
            .connect_with(&logs(&id), &[("x-user", "another")])
            .await
            .is_ok()
    );
    drop(sockets);
    eventually("a permit is released", || async {
        server
            .connect(&logs(&id))
            .await
            .map(drop)
            .map_err(|response| response.status().to_string())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_accepts_json_gets_a_status() {
    let server = TestServer::start().await;
    let response = server
        .connect_with(&logs(UNKNOWN_ID), &[("accept", "application/json")])
        .await
        .expect_err("no such container");
    let body = String::from_utf8(response.body().clone().unwrap()).unwrap();
    assert!(
        body.contains(r#""kind":"Status""#) && body.contains(r#""reason":"NotFound""#),
        "{body}"
    );
}

#[tokio::test]
async fn no_request_waits_for_the_reconciler_or_for_another_request() {
    let server = TestServer::start().await;
    let [blocked, free] = ["blocked", "free"].map(|name| server.engine.run_container(name));
    let gate = server.engine.gate(EngineOperation::GetLogs, Some(&blocked));
    let (blocked, free) = (logs(&blocked), logs(&free));
    let waiting = server.connect(&blocked);
    let others = async {
        eventually("the engine is called", || async {
            match server.engine.call_count(EngineOperation::GetLogs) {
                1 => Ok(()),
                calls => Err(calls.to_string()),
            }
        })
        .await;
        // The reconciler replaces the snapshot continuously.
        let (serving, engine) = (server.serving.clone(), server.engine.clone());
        let writer = tokio::spawn(async move {
            loop {
                serving.send_replace(unavailable(UnavailableReason::Stopped, Some(&engine)));
                tokio::task::yield_now().await;
                serving.send_replace(ready(&engine));
                tokio::task::yield_now().await;
            }
        });
        // A request that waits for the blocked one gets no response before the gate opens.
        for path in [&free, &logs(UNKNOWN_ID), &logs("short")].repeat(5) {
            let answered = tokio::time::timeout(PATIENCE, server.connect(path)).await;
            // Each request sees a consistent snapshot.
            match answered.expect(path) {
                Ok(_) => assert_eq!(path, &free),
                Err(response) => assert!([400, 404, 503].contains(&response.status().as_u16())),
            }
        }
        writer.abort();
        gate.open();
    };
    let (opened, ()) = tokio::join!(waiting, others);
    assert!(opened.is_ok());
}
