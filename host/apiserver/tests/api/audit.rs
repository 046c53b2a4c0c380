//! The audit log.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{FutureExt as _, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use rdd_apiserver::{
    AccessRequest, ApiServer, ApiServerOptions, AuditLevel, AuditOptions, ExternalRequest,
    OpenError, ResourceAccessRequest,
};
use serde_json::{Value, json};
use tower::Service as _;

use crate::client::{APPLY, CONFIG_MAPS, TestClient, admin, config_map, user};

async fn audited(file: &Path, level: AuditLevel) -> TestClient {
    let options = ApiServerOptions {
        audit: Some(AuditOptions::new(file, level)),
        ..ApiServerOptions::in_memory()
    };
    TestClient(ApiServer::open(options).await.unwrap())
}

/// Closes the server, which writes all events, and returns them.
async fn events(client: TestClient, file: &Path) -> Vec<Value> {
    client.0.close().await;
    let text = std::fs::read_to_string(file).unwrap();
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

fn log_file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("audit.log")
}

#[tokio::test]
async fn each_request_is_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let client = audited(&log_file(&dir), AuditLevel::Metadata).await;
    let created = client.post(CONFIG_MAPS, &config_map("a")).await;
    let alice = user("alice", &[]);
    let path = format!("{CONFIG_MAPS}/a?pretty=true");
    // As in a request over HTTP/2.
    let uri = format!("https://localhost{path}");
    client.send_as(&alice, "GET", &uri, &[], &Value::Null).await;
    let headers = [("impersonate-user", "bob")];
    client
        .send_as(&admin(), "GET", "/metrics", &headers, &Value::Null)
        .await;
    let watch = client.watch(&format!("{CONFIG_MAPS}?watch=true")).await;
    let events = events(client, &log_file(&dir)).await;
    drop(watch);
    assert_eq!(events.len(), 4, "{events:?}");
    let create = &events[0];
    for (field, expected) in [
        ("kind", json!("Event")),
        ("apiVersion", json!("audit.k8s.io/v1")),
        ("level", json!("Metadata")),
        ("stage", json!("ResponseComplete")),
        ("requestURI", json!(CONFIG_MAPS)),
        ("verb", json!("create")),
        ("userAgent", json!("tests/1.0")),
        (
            "user",
            json!({"username": "admin", "groups": ["system:masters"]}),
        ),
        (
            "objectRef",
            json!({"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}),
        ),
        ("responseStatus", json!({"code": 201})),
    ] {
        assert_eq!(create[field], expected, "{field}");
    }
    let id = created.headers["audit-id"].to_str().unwrap();
    assert_eq!(create["auditID"], id);
    assert!(create["requestObject"].is_null());
    assert_eq!(
        create["annotations"]["authorization.k8s.io/decision"],
        "allow"
    );
    let refused = &events[1];
    assert_eq!(refused["responseStatus"]["code"], 403);
    assert_eq!(
        refused["annotations"]["authorization.k8s.io/decision"],
        "forbid"
    );
    assert_eq!(refused["requestURI"], path);
    assert_eq!(refused["objectRef"]["name"], "a");
    let impersonated = &events[2];
    assert_eq!(impersonated["user"]["username"], "admin");
    assert_eq!(impersonated["impersonatedUser"]["username"], "bob");
    assert_eq!(impersonated["verb"], "get");
    assert!(impersonated["objectRef"].is_null());
    assert_eq!(events[3]["stage"], "ResponseStarted");
}

#[tokio::test]
async fn a_request_without_a_response_and_one_that_is_not_parsed_are_events_too() {
    let dir = tempfile::tempdir().unwrap();
    let client = audited(&log_file(&dir), AuditLevel::Metadata).await;
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post(CONFIG_MAPS).extension(admin()).body(body);
    let mut response = client.0.clone().call(request.unwrap());
    assert!((&mut response).now_or_never().is_none());
    // As when the client disconnects.
    drop(response);
    let query = "x".repeat(40 * 1024);
    let refused = client.get(&format!("{CONFIG_MAPS}?{query}")).await;
    assert_eq!(refused.code, 400);
    let events = events(client, &log_file(&dir)).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["verb"], "create");
    assert!(events[0]["responseStatus"].is_null());
    let annotations = events[0]["annotations"].to_string();
    assert!(
        annotations.contains("may have been carried out"),
        "{annotations}"
    );
    assert_eq!(events[1]["responseStatus"]["code"], 400);
    assert!(events[1].to_string().len() < 16 * 1024);
}

#[tokio::test]
async fn a_request_beside_the_api_is_an_event_and_one_that_lasts_is_two() {
    let dir = tempfile::tempdir().unwrap();
    let client = audited(&log_file(&dir), AuditLevel::Request).await;
    let alice = user("alice", &[]);
    let access = ResourceAccessRequest {
        verb: "get",
        group: "example.com",
        resource: "widgets",
        subresource: "log",
        namespace: "default",
        name: "a",
    };
    let outcome = client.0.authorize(&alice, &AccessRequest::Resource(access));
    let headers: HeaderMap = [
        ("user-agent", "tests/1.0"),
        ("audit-id", "mine"),
        ("authorization", "Bearer hidden-text"),
    ]
    .map(|(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, http::HeaderValue::from_static(value))
    })
    .into_iter()
    .collect();
    let begin = |uri: &str| {
        let request = ExternalRequest {
            user: &alice,
            access,
            version: "v1",
            outcome: &outcome,
            uri,
            headers: &headers,
        };
        client.0.begin_record(&request).unwrap()
    };
    let refused = begin("/refused");
    refused.respond(StatusCode::FORBIDDEN);
    drop(refused);
    let lasting = begin("/lasting?tail=1");
    lasting.respond(StatusCode::SWITCHING_PROTOCOLS);
    lasting.respond(StatusCode::OK);
    drop(begin("/abandoned"));
    drop(lasting);
    let events = events(client, &log_file(&dir)).await;
    let column =
        |field: &str| -> Vec<Value> { events.iter().map(|event| event[field].clone()).collect() };
    let uris = [
        "/refused",
        "/lasting?tail=1",
        "/abandoned",
        "/lasting?tail=1",
    ];
    assert_eq!(column("requestURI"), uris);
    let stages = [
        "ResponseComplete",
        "ResponseStarted",
        "ResponseComplete",
        "ResponseComplete",
    ];
    assert_eq!(column("stage"), stages);
    let codes = column("responseStatus");
    let code = |code: u16| json!({"code": code});
    assert_eq!(codes, [code(403), code(101), Value::Null, code(101)]);
    for event in &events {
        assert_eq!(event["level"], "Request");
        assert_eq!(event["verb"], "get");
        assert_eq!(event["auditID"], "mine");
        assert_eq!(event["userAgent"], "tests/1.0");
        assert_eq!(event["user"]["username"], "alice");
        assert_eq!(
            event["annotations"]["authorization.k8s.io/decision"],
            "forbid"
        );
        let object = json!({
            "resource": "widgets", "namespace": "default", "name": "a",
            "apiGroup": "example.com", "apiVersion": "v1", "subresource": "log",
        });
        assert_eq!(event["objectRef"], object);
        assert!(!event.to_string().contains("hidden-text"));
    }
    let abandoned = events[2]["annotations"].to_string();
    assert!(abandoned.contains("the client disconnected"), "{abandoned}");
    // Without an audit log, there is nothing to record.
    let silent = TestClient::new().await;
    let request = ExternalRequest {
        user: &alice,
        access,
        version: "v1",
        outcome: &outcome,
        uri: "/",
        headers: &headers,
    };
    assert!(silent.0.begin_record(&request).is_none());
}

#[tokio::test]
async fn the_level_request_adds_bodies_but_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let client = audited(&log_file(&dir), AuditLevel::Request).await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let apply = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {k: applied}\n";
    let path = format!("{CONFIG_MAPS}/b?fieldManager=tests");
    client
        .send("PATCH", &path, &[("content-type", APPLY)], apply)
        .await;
    let large = json!({"metadata": {"name": "c"}, "data": {"k": "x".repeat(300 * 1024)}});
    client.post(CONFIG_MAPS, &large).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "hidden-text"}});
    assert_eq!(client.post(secrets, &secret).await.code, 201);
    let change = json!({"stringData": {"k": "hidden-text"}});
    client
        .patch(&format!("{secrets}/s"), crate::client::MERGE, &change)
        .await;
    let review = json!({"spec": {"token": "hidden-text"}});
    client
        .post("/apis/authentication.k8s.io/v1/tokenreviews", &review)
        .await;
    let headers = [("authorization", "Bearer hidden-text")];
    client.send("GET", "/api", &headers, "").await;
    let events = events(client, &log_file(&dir)).await;
    assert_eq!(events.len(), 7);
    assert_eq!(events[0]["requestObject"]["data"], json!({"k": "1"}));
    assert_eq!(events[1]["requestObject"]["data"], json!({"k": "applied"}));
    assert!(events[2]["requestObject"].is_null());
    assert!(events[2]["annotations"].to_string().contains("omitted"));
    let text = std::fs::read_to_string(log_file(&dir)).unwrap();
    assert!(!text.contains("hidden-text"), "{text}");
    assert!(!text.contains("aGlkZGVuLXRleHQ"), "{text}");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_of_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("missing/audit.log");
    let options = ApiServerOptions {
        audit: Some(AuditOptions::new(&file, AuditLevel::Metadata)),
        ..ApiServerOptions::in_memory()
    };
    let error = ApiServer::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Audit { .. }), "{error}");
    assert!(error.to_string().contains("missing/audit.log"), "{error}");
}
