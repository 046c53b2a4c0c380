//! Tests of the scripted host and the scripted engine.

use std::time::Duration;

use bytes::Bytes;
use rdd_sdk::http::{HttpClient, HttpRequest, Method, StatusCode, UpgradeResponse};
use rdd_sdk::testing::{self, ConnectionScript, EngineResponse, ScriptedEngine, ScriptedHost};
use rdd_sdk::types::{Credentials, Error, ErrorCode, LogLevel, PasswordCredentials};

use crate::failure;

async fn get(host: &ScriptedHost, path: &str) -> Result<Bytes, Error> {
    let client = HttpClient::new(host.handle());
    let response = client.send(HttpRequest::get(path));
    response.await.map(|response| response.body)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn scripts_are_played_one_for_each_connection() {
    testing::run(async {
        let host = ScriptedHost::new();
        host.script(
            ConnectionScript::new()
                .expect_head("GET /a HTTP/1.1")
                .send(OK)
                .hold(),
        );
        let slow = ConnectionScript::new()
            .expect("GET /b ")
            .delay(Duration::from_secs(60))
            .send(OK);
        host.script(slow);
        host.script(ConnectionScript::refuse(Error::unavailable("no engine")));
        assert_eq!(get(&host, "/a").await.unwrap(), "ok");
        assert_eq!(get(&host, "/b").await.unwrap(), "ok");
        assert_eq!(host.elapsed(), Duration::from_secs(60));
        assert_eq!(get(&host, "/c").await.unwrap_err().message, "no engine");
        assert_eq!((host.total_connections(), host.open_connections()), (2, 0));
        assert_eq!(host.take_peak_connections(), 1);
    });
}

#[test]
fn connections_fail_where_the_script_cuts_them() {
    testing::run(async {
        let host = ScriptedHost::new();
        let whole = OK.len();
        for (limit, is_complete) in [(0, false), (10, false), (whole - 1, false), (whole, true)] {
            host.script(ConnectionScript::new().send(OK).cut_after(limit));
            // A request without a second attempt.
            let post = HttpRequest::new(Method::POST, "/");
            let result = HttpClient::new(host.handle()).send(post).await;
            assert_eq!(result.is_ok(), is_complete, "{limit}");
            if let Err(error) = result {
                assert_eq!(error.code, ErrorCode::Unavailable);
                assert!(
                    error.message.contains("the test cut the connection"),
                    "{}",
                    error.message
                );
            }
        }
        host.script(ConnectionScript::new().expect("POST").fail());
        let post = HttpRequest::new(Method::POST, "/");
        let error = HttpClient::new(host.handle()).send(post).await.unwrap_err();
        assert!(
            error.message.contains("failed the connection"),
            "{}",
            error.message
        );
    });
}

#[test]
fn a_failed_expectation_names_what_was_expected_and_what_came() {
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().expect_head("GET /a HTTP/1.1"));
        get(&host, "/b").await.unwrap_err();
    });
    assert_eq!(
        message,
        r#"connection 0: expected "GET /a HTTP/1.1", but "GET /b HTTP/1.1" came"#
    );
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().expect("POST"));
        get(&host, "/b").await.unwrap_err();
    });
    assert_eq!(message, r#"connection 0: expected "POST", but "G" came"#);
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().expect("GET"));
        drop(host.handle().connect().await.unwrap());
        tokio::task::yield_now().await;
    });
    assert_eq!(
        message,
        r#"connection 0: expected "GET", but nothing came before the end"#
    );
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().expect("GET"));
        let _connection = host.handle().connect().await.unwrap();
        tokio::task::yield_now().await;
    });
    assert!(
        message.contains("expected \"GET\", but nothing came until the end of the test"),
        "{message}"
    );
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new());
    });
    assert!(message.contains("expected 1 more connections"), "{message}");
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.handle().connect().await.err().unwrap();
    });
    assert!(message.contains("expected 0 connections"), "{message}");
}

#[test]
fn a_panic_of_the_engine_fails_the_test() {
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.serve(|connection| async move {
            let _open = connection;
            panic!("the engine must not be asked")
        });
        get(&host, "/").await.unwrap_err();
    });
    assert_eq!(message, "the engine must not be asked");
}

#[test]
fn a_request_without_a_route_fails_the_test_and_names_the_routes() {
    let message = failure(async || {
        let engine = ScriptedEngine::new();
        engine.route(Method::GET, "/a/{}", |_| EngineResponse::text("a"));
        assert_eq!(get(&engine, "/a/b").await.unwrap(), "a");
        get(&engine, "/b?c=d").await.unwrap();
    });
    assert_eq!(
        message,
        "expected a request to one of [GET /a/{}], but GET /b?c=d came"
    );
}

#[test]
fn the_time_the_random_numbers_the_credentials_and_the_log_are_the_tests() {
    testing::run(async {
        let scripted = ScriptedHost::new();
        let host = scripted.handle();
        let (start, begin) = (host.now(), host.monotonic_now());
        assert_eq!(start.seconds, 1_767_225_600);
        let sleeping = host.sleep(Duration::from_millis(86_400_500));
        futures::join!(sleeping, scripted.advance(Duration::from_secs(1)));
        assert_eq!(
            host.monotonic_now() - begin,
            Duration::from_millis(86_400_500)
        );
        let now = host.now();
        assert_eq!(
            (now.seconds - start.seconds, now.nanoseconds),
            (86_400, 500_000_000)
        );

        let numbers = [host.random(), host.random()];
        scripted.set_seed(0);
        assert_eq!([host.random(), host.random()], numbers);
        assert_ne!(numbers[0], numbers[1]);

        assert_eq!(host.credentials("docker.io").await.unwrap(), None);
        let password = Credentials::Password(PasswordCredentials {
            username: "user".to_owned(),
            password: "secret".to_owned(),
        });
        scripted.set_credentials("docker.io", password.clone());
        assert_eq!(host.credentials("docker.io").await.unwrap(), Some(password));
        assert_eq!(host.credentials("other").await.unwrap(), None);

        host.log(LogLevel::Info, "hello");
        let log = scripted.log_messages();
        assert_eq!(
            (log.len(), log[0].level, &*log[0].text),
            (1, LogLevel::Info, "hello")
        );
    });
}

#[test]
fn an_engine_can_be_slow_stalled_broken_and_upgraded() {
    testing::run(async {
        let engine = ScriptedEngine::new();
        engine.route(Method::GET, "/slow", |_| {
            EngineResponse::text("slow").after(Duration::from_secs(90))
        });
        engine.route(Method::GET, "/stalled", |_| EngineResponse::stalled("some"));
        engine.route(Method::GET, "/broken", |_| {
            let (mut sender, response) = EngineResponse::stream();
            tokio::task::spawn_local(async move {
                sender.send("some").await.unwrap();
                sender.fail().await.unwrap();
            });
            response
        });
        engine.route(Method::POST, "/upgrade", |request| {
            assert_eq!(request.body, "{}");
            EngineResponse::upgrade("tcp", |mut connection| async move {
                connection.expect(b"ping").await;
                connection.send(b"pong").await;
                connection.expect_close().await;
            })
        });
        assert_eq!(get(&engine, "/slow").await.unwrap(), "slow");
        assert_eq!(engine.elapsed(), Duration::from_secs(90));
        let error = get(&engine, "/broken").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{}", error.message);

        let client = HttpClient::new(engine.host());
        let (_, mut body) = client.stream(HttpRequest::get("/stalled")).await.unwrap();
        let mut some = Vec::new();
        body.read_batch(1, |bytes| some.extend(bytes))
            .await
            .unwrap();
        assert_eq!(some, b"some");
        let more = tokio::time::timeout(Duration::from_secs(3600), body.read_batch(1, |_| {}));
        assert!(more.await.is_err());

        let request = HttpRequest::new(Method::POST, "/upgrade").json("{}");
        let upgraded = client.upgrade(request, "tcp").await.unwrap();
        let UpgradeResponse::Upgraded {
            head,
            mut reader,
            mut writer,
        } = upgraded
        else {
            panic!("refused");
        };
        assert_eq!(head.status, StatusCode::SWITCHING_PROTOCOLS);
        writer.write_all(b"ping").await.unwrap();
        let mut pong = Vec::new();
        while pong.len() < 4 {
            assert!(
                reader
                    .read(|bytes| pong.extend_from_slice(bytes))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(pong, b"pong");
        drop((reader, writer, body));
        assert_eq!(engine.open_connections(), 0);
    });
}
