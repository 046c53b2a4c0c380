//! The page on a listener of its own, over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use rdd_core::{SessionEnd, UserIdentity};
use rdd_web::SessionGrant;

use common::{PAGE_HEADERS, TestPage};

#[tokio::test]
async fn a_code_is_traded_for_a_session_once() {
    let page = TestPage::start().await;
    let code = page.create_code();
    let body = format!(r#"{{"code":"{code}"}}"#);
    let response = page.post("/ui/session", "", &body).await;
    assert_eq!(response.status, 201, "{response:?}");
    let token = response.json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("authorization: Bearer {token}\r\n");
    let response = page.get("/apis/x", &bearer).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (200, "api rdd-admin")
    );
    assert_eq!(page.get("/apis/x", "").await.status, 401);

    let again = page.post("/ui/session", "", &body).await;
    assert_eq!(again.status, 401, "{again:?}");
    assert!(again.body.contains("rdd dashboard"), "{again:?}");
}

#[tokio::test]
async fn a_session_also_authenticates_with_the_subprotocol_of_browsers() {
    use base64::Engine as _;
    let page = TestPage::start().await;
    let token = page.sign_in();
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&token);
    let header = format!(
        "sec-websocket-protocol: rdd.logs-mux.v1, base64url.bearer.authorization.k8s.io.{encoded}\r\n"
    );
    let response = page.get("/passthrough/engine/logs", &header).await;
    assert_eq!(response.body, "passthrough rdd-admin");
}

#[tokio::test]
async fn a_code_that_is_too_old_unknown_or_malformed_begins_no_session() {
    let page = TestPage::start().await;
    let code = page.create_code();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    let sign_in = async |body: &str| page.post("/ui/session", "", body).await.status;
    assert_eq!(sign_in(&format!(r#"{{"code":"{code}"}}"#)).await, 401);
    assert_eq!(sign_in(r#"{"code":"AAAAAAAAAAAAAAAAAAAAAA"}"#).await, 401);
    assert_eq!(sign_in(r#"{"code":""}"#).await, 401);
    for body in ["", "{}", "[]", r#"{"code":7}"#, &"x".repeat(2000)] {
        assert_eq!(sign_in(body).await, 400, "{body}");
    }
}

#[tokio::test]
async fn every_session_and_every_code_ends_with_a_revocation() {
    let page = TestPage::start().await;
    let bearer = format!("authorization: Bearer {}\r\n", page.sign_in());
    let code = page.create_code();
    assert_eq!(
        page.send("DELETE", "/ui/sessions", "", "").await.status,
        401
    );
    assert_eq!(
        page.send("DELETE", "/ui/sessions", &bearer, "")
            .await
            .status,
        200
    );
    assert_eq!(page.get("/apis/x", &bearer).await.status, 401);
    let body = format!(r#"{{"code":"{code}"}}"#);
    assert_eq!(page.post("/ui/session", "", &body).await.status, 401);
}

#[tokio::test]
async fn a_session_of_a_user_with_fewer_rights_has_no_more_and_ends_no_others() {
    let page = TestPage::start().await;
    let (alive, end) = SessionEnd::channel();
    let code = page.sessions.create_code(SessionGrant {
        identity: UserIdentity {
            user: "viewer".to_owned(),
            groups: vec!["rdd:viewer".to_owned()],
        },
        end: Some(end),
    });
    let token = page.sessions.begin_session(&code.unwrap()).unwrap();
    let bearer = format!("authorization: Bearer {token}\r\n");
    assert_eq!(page.get("/apis/x", &bearer).await.body, "api viewer");
    let ended = page.send("DELETE", "/ui/sessions", &bearer, "").await;
    assert_eq!(ended.status, 403);
    // A session that it begins is its own.
    let code = page.post("/ui/codes", &bearer, "").await.json();
    let body = format!(r#"{{"code":{}}}"#, code["code"]);
    let session = page.post("/ui/session", "", &body).await.json();
    let second = session["token"].as_str().unwrap();
    let second = format!("authorization: Bearer {second}\r\n");
    assert_eq!(page.get("/apis/x", &second).await.body, "api viewer");
    drop(alive);
    for bearer in [bearer, second] {
        assert_eq!(page.get("/apis/x", &bearer).await.status, 401);
    }
}

#[tokio::test]
async fn codes_are_for_users_with_credentials() {
    let page = TestPage::start().await;
    assert_eq!(page.post("/ui/codes", "", "").await.status, 401);
    let bearer = format!("authorization: Bearer {}\r\n", page.token.reveal());
    let response = page.post("/ui/codes", &bearer, "").await;
    assert_eq!(response.status, 201);
    let description = response.json();
    assert_eq!(description["expiresInSeconds"], 60);
    let body = format!(r#"{{"code":{}}}"#, description["code"]);
    assert_eq!(page.post("/ui/session", "", &body).await.status, 201);
}

#[tokio::test]
async fn another_host_or_origin_gets_nothing() {
    let page = TestPage::start().await;
    let code = page.create_code();
    let bearer = format!("authorization: Bearer {}\r\n", page.sign_in());
    let port = page.address.port();
    for headers in [
        "host: evil.example\r\n".to_owned(),
        format!("host: evil.example:{port}\r\n"),
        "host: 127.0.0.1\r\n".to_owned(),
        format!("host: 127.0.0.1:{}\r\n", port ^ 1),
        format!("host: [::1]:{port}\r\n"),
        "origin: https://evil.example\r\n".to_owned(),
        "origin: null\r\n".to_owned(),
        format!("origin: https://127.0.0.1:{port}\r\n"),
        format!("origin: http://127.0.0.1:{}\r\n", port ^ 1),
        // Trusted by the main listener, perhaps; here is no such list.
        "origin: http://localhost:3000\r\n".to_owned(),
    ] {
        for path in ["/ui/", "/", "/ui/page.js"] {
            assert_eq!(page.get(path, &headers).await.status, 403, "{headers}");
        }
        let body = format!(r#"{{"code":"{code}"}}"#);
        assert_eq!(page.post("/ui/session", &headers, &body).await.status, 403);
        let with_token = format!("{headers}{bearer}");
        for path in ["/apis/x", "/passthrough/engine/logs", "/metrics"] {
            assert_eq!(page.get(path, &with_token).await.status, 403, "{headers}");
        }
    }
    let own = format!("origin: http://127.0.0.1:{port}\r\n");
    let body = format!(r#"{{"code":"{code}"}}"#);
    assert_eq!(page.post("/ui/session", &own, &body).await.status, 201);
}

#[tokio::test]
async fn every_response_confines_the_page() {
    let page = TestPage::start().await;
    let bearer = format!("authorization: Bearer {}\r\n", page.sign_in());
    for (method, path, headers, status) in [
        ("GET", "/", "", 307),
        ("GET", "/ui", "", 307),
        ("GET", "/ui/", "", 200),
        ("HEAD", "/ui/", "", 200),
        ("GET", "/ui/page.js", "", 200),
        ("GET", "/ui/nosuch", "", 404),
        ("GET", "/ui/../Cargo.toml", "", 404),
        ("POST", "/ui/", "", 405),
        ("GET", "/ui/session", "", 405),
        ("POST", "/ui/session", "", 400),
        ("GET", "/ui/", "host: evil.example\r\n", 403),
        ("GET", "/apis/x", "", 401),
        ("GET", "/apis/x", bearer.as_str(), 200),
        ("GET", "/passthrough/engine/logs", bearer.as_str(), 200),
        ("GET", "/livez", "", 200),
    ] {
        let response = page.send(method, path, headers, "").await;
        assert_eq!(response.status, status, "{method} {path}: {response:?}");
        for (name, value) in PAGE_HEADERS {
            let found = response.header(name);
            assert!(
                found.is_some_and(|found| found.contains(value)),
                "{path}: {name} is {found:?}"
            );
        }
        let policy = response.header("content-security-policy").unwrap();
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        assert!(response.header("set-cookie").is_none());
        assert!(response.header("access-control-allow-origin").is_none());
        assert!(response.header("cache-control").is_some(), "{path}");
    }
}

#[tokio::test]
async fn the_files_are_compressed_and_validated_instead_of_sent_again() {
    let page = TestPage::start().await;
    let response = page.get("/ui/", "").await;
    assert!(response.body.contains("<div id=\"page\">"), "{response:?}");
    assert!(!response.body.contains("<style") && !response.body.contains("onclick"));
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    let tag = response.header("etag").unwrap();
    let cached = page.get("/ui/", &format!("if-none-match: {tag}\r\n")).await;
    assert_eq!((cached.status, cached.body.as_str()), (304, ""));
    let gzip = page.get("/ui/page.js", "accept-encoding: gzip\r\n").await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn plain_http_is_served_on_the_loopback_interface_alone() {
    let mut options = TestPage::start().await.options;
    options.listen = "0.0.0.0:0".parse().unwrap();
    let error = rdd_gateway::Gateway::bind(options)
        .await
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
}
