//! Every status of the log endpoint, each with a sentence that helps, and the
//! order in which they are decided.

use std::time::Duration;

use super::common::{Mux, ready, without_logs};
use rdd_core::{
    ContainerEngine as _, EngineError, ErrorCode, ServingSnapshot, ServingState, UnavailableReason,
};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn logs(id: &str) -> String {
    format!("/passthrough/engine/logs/{id}")
}

/// Asks for a WebSocket and expects a refusal: its status, `Retry-After`, sentence.
async fn refused(mux: &Mux, path: &str) -> (u16, Option<String>, String) {
    let response = mux.connect(path).await.expect_err(path);
    let retry = response
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    (response.status().as_u16(), retry, body)
}

fn not(why: UnavailableReason, engine: Option<&FakeEngine>) -> ServingSnapshot {
    ServingSnapshot {
        backend: "containerd".to_owned(),
        info: engine.map(|engine| engine.info().clone()),
        serving: ServingState::Unavailable(why),
    }
}

#[tokio::test]
async fn s3_an_id_that_is_not_the_backends_form_is_400() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for bad in [
        id[..12].to_owned(),
        id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
        format!("{id}0"),
        format!("{}g", &id[..63]),
        "web".to_owned(),
        "..%2f..%2fjson".to_owned(),
    ] {
        let (status, _, body) = refused(&mux, &logs(&bad)).await;
        assert_eq!(status, 400, "{bad}");
        assert!(body.contains("64 lower-case hexadecimal digits"), "{body}");
    }
    assert_eq!(
        mux.engine.call_count(EngineOperation::GetLogs),
        0,
        "no bad ID reached the engine"
    );
    assert!(mux.connect(&logs(&id)).await.is_ok());
}

#[tokio::test]
async fn a_bad_parameter_is_400_and_named() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for (query, named) in [
        ("tail=-1", "tail"),
        ("follow=maybe", "follow"),
        ("since=yesterday", "since"),
        ("stdout=false&stderr=false", "stdout"),
        ("colour=red", "colour"),
    ] {
        let (status, _, body) = refused(&mux, &format!("{}?{query}", logs(&id))).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.contains(named), "{query}: {body}");
    }
}

#[tokio::test]
async fn s7_a_backend_that_is_absent_is_501_and_never_503() {
    let why = UnavailableReason::BackendNotInstalled {
        backend: "containerd".to_owned(),
        reason: "no plugin of that name; install one".to_owned(),
    };
    let mux = Mux::start_with(FakeEngine::named("moby"), not(why, None)).await;
    let (status, retry, body) = refused(&mux, &logs(NOBODY)).await;
    assert_eq!((status, retry), (501, None));
    assert!(
        body.contains("\"containerd\"") && body.contains("install one"),
        "{body}"
    );
}

#[tokio::test]
async fn a_backend_without_the_capability_is_501() {
    let engine = FakeEngine::named("moby");
    let info = without_logs(engine.info());
    let mux = Mux::start_with(
        engine.clone(),
        ServingSnapshot {
            info: Some(info),
            ..ready(&engine)
        },
    )
    .await;
    let (status, _, body) = refused(&mux, &logs(NOBODY)).await;
    assert_eq!(status, 501);
    assert!(body.contains("cannot read logs"), "{body}");
}

#[tokio::test]
async fn an_unreadable_log_driver_is_501_with_the_engines_words() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    mux.engine.fail(
        EngineOperation::GetLogs,
        Some(&id),
        EngineError::new(
            ErrorCode::Unsupported,
            "configured logging driver does not support reading",
        ),
    );
    let (status, _, body) = refused(&mux, &logs(&id)).await;
    assert_eq!(status, 501);
    assert!(body.contains("does not support reading"), "{body}");
}

#[tokio::test]
async fn a_backend_that_cannot_serve_now_is_503_and_says_which() {
    let engine = FakeEngine::named("moby");
    for (why, words) in [
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
        let mux = Mux::start_with(engine.clone(), not(why, Some(&engine))).await;
        let (status, retry, body) = refused(&mux, &logs(NOBODY)).await;
        assert_eq!(status, 503, "{words}");
        assert!(retry.is_some(), "{words}");
        assert!(body.contains(words), "{body}");
    }
}

#[tokio::test]
async fn an_engine_that_goes_away_between_two_looks_is_503() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for code in [
        ErrorCode::Unavailable,
        ErrorCode::Timeout,
        ErrorCode::PluginFailed,
        ErrorCode::PermissionDenied,
    ] {
        mux.engine.fail_next(
            EngineOperation::GetLogs,
            None,
            EngineError::new(code.clone(), "gone"),
        );
        let (status, retry, _) = refused(&mux, &logs(&id)).await;
        assert_eq!((status, retry.is_some()), (503, true), "{code}");
    }
    // The backend goes on, and the next log would fail in the same way.
    mux.engine.fail_next(
        EngineOperation::GetLogs,
        None,
        EngineError::new(ErrorCode::StreamFailed, "it trapped"),
    );
    let (status, retry, _) = refused(&mux, &logs(&id)).await;
    assert_eq!((status, retry.is_some()), (502, false));
}

#[tokio::test]
async fn a_container_that_nobody_knows_is_404() {
    let mux = Mux::start().await;
    let (status, _, body) = refused(&mux, &logs(NOBODY)).await;
    assert_eq!(status, 404);
    assert!(body.contains(NOBODY), "{body}");
}

#[tokio::test]
async fn s8_a_log_needs_no_mirror_when_the_engine_knows_the_container() {
    // There is no mirror at all here: a viewer need not wait for one.
    let mux = Mux::start().await;
    let id = mux.engine.create_container("new");
    assert!(mux.connect(&logs(&id)).await.is_ok());
}

#[tokio::test]
async fn an_unknown_controller_or_endpoint_is_404() {
    let mux = Mux::start().await;
    for path in [
        "/passthrough/",
        "/passthrough/engine/exec/x",
        "/passthrough/git/logs/x",
        "/passthrough/engine/logs",
    ] {
        assert_eq!(refused(&mux, path).await.0, 404, "{path}");
    }
}

async fn plain(mux: &Mux, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(mux.address).await.unwrap();
    stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_plain_request_is_426_and_says_how() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let answer = plain(
        &mux,
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
async fn a_plain_request_is_judged_by_the_same_checks_first() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    for (path, status) in [
        (logs("short"), 400),
        (format!("{}?tail=x", logs(&id)), 400),
        (logs(NOBODY), 404),
    ] {
        let answer = plain(
            &mux,
            &format!("GET {path} HTTP/1.1\nhost: x\nconnection: close\n\n"),
        )
        .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
    }
    let answer = plain(
        &mux,
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
async fn the_order_is_form_parameter_501_503_404() {
    // Everything is wrong at once; each mended fault shows the next one.
    let engine = FakeEngine::named("moby");
    let info = without_logs(engine.info());
    let down = UnavailableReason::EngineUnreachable {
        reason: "down".to_owned(),
    };
    let mux = Mux::start_with(
        engine.clone(),
        ServingSnapshot {
            info: Some(info),
            ..not(down.clone(), Some(&engine))
        },
    )
    .await;
    assert_eq!(
        refused(&mux, "/passthrough/engine/logs/short?tail=x")
            .await
            .0,
        400
    );
    let (status, _, body) = refused(&mux, &format!("{}?tail=x", logs(NOBODY))).await;
    assert_eq!((status, body.contains("tail")), (400, true), "{body}");
    assert_eq!(refused(&mux, &logs(NOBODY)).await.0, 501);
    mux.serving.send_replace(not(down, Some(&engine)));
    assert_eq!(refused(&mux, &logs(NOBODY)).await.0, 503);
    mux.serving.send_replace(ready(&engine));
    assert_eq!(refused(&mux, &logs(NOBODY)).await.0, 404);
}

#[tokio::test]
async fn too_many_streams_of_one_user_are_429() {
    let mux = Mux::start().await;
    let id = mux.engine.run_container("web");
    let mut held = Vec::new();
    let refusal = loop {
        match mux.connect(&logs(&id)).await {
            Ok(socket) => held.push(socket),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(held.len(), rdd_passthrough::limits::STREAMS_PER_USER);
    assert_eq!(refusal.status().as_u16(), 429);
    assert!(refusal.headers().contains_key("retry-after"));
    assert!(
        mux.connect_with(&logs(&id), &[("x-user", "another")])
            .await
            .is_ok()
    );
    drop(held);
    eventually("a place comes free", || async {
        mux.connect(&logs(&id))
            .await
            .map(drop)
            .map_err(|refusal| refusal.status().to_string())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_json_gets_a_status() {
    let mux = Mux::start().await;
    let response = mux
        .connect_with(&logs(NOBODY), &[("accept", "application/json")])
        .await
        .expect_err("no such container");
    let body = String::from_utf8(response.body().clone().unwrap()).unwrap();
    assert!(
        body.contains(r#""kind":"Status""#) && body.contains(r#""reason":"NotFound""#),
        "{body}"
    );
}

#[tokio::test]
async fn i1_no_request_waits_for_the_reconciler_or_for_another_request() {
    /// Half of what an engine has for its answer: whoever waits for the one
    /// that is held up here is later than that, however busy the machine is.
    const AT_ONCE: Duration = Duration::from_secs(5);
    let mux = Mux::start().await;
    let [held, free] = ["held", "free"].map(|name| mux.engine.run_container(name));
    let gate = mux.engine.gate(EngineOperation::GetLogs, Some(&held));
    let (held, free) = (logs(&held), logs(&free));
    let waiting = mux.connect(&held);
    let others = async {
        eventually("the engine is asked", || async {
            match mux.engine.call_count(EngineOperation::GetLogs) {
                1 => Ok(()),
                asked => Err(asked.to_string()),
            }
        })
        .await;
        // The reconciler replaces the snapshot all the while.
        let (serving, engine) = (mux.serving.clone(), mux.engine.clone());
        let writer = tokio::spawn(async move {
            loop {
                serving.send_replace(not(UnavailableReason::Stopped, Some(&engine)));
                tokio::task::yield_now().await;
                serving.send_replace(ready(&engine));
                tokio::task::yield_now().await;
            }
        });
        for path in [&free, &logs(NOBODY), &logs("short")].repeat(20) {
            let answered = tokio::time::timeout(AT_ONCE, mux.connect(path)).await;
            // Each request sees one whole state.
            match answered.expect(path) {
                Ok(_) => assert_eq!(path, &free),
                Err(refusal) => assert!([400, 404, 503].contains(&refusal.status().as_u16())),
            }
        }
        writer.abort();
        gate.open();
    };
    let (opened, ()) = tokio::join!(waiting, others);
    assert!(opened.is_ok());
}
