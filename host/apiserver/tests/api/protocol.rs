//! Authentication, media types, and methods.

use std::convert::Infallible;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::json;
use tower::ServiceExt as _;

use crate::client::{
    CONFIG_MAPS, JSON, TestClient, WIDGETS, admin, config_map, read_response, sized_version,
};

#[tokio::test]
async fn requests_without_a_user_are_unauthorized() {
    let client = TestClient::new().await;
    for path in ["/api", CONFIG_MAPS, "/nope"] {
        let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
        let response = read_response(client.0.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(response.reason(), (401, "Unauthorized"), "{path}");
    }
}

#[tokio::test]
async fn a_self_subject_review_returns_the_caller() {
    let client = TestClient::new().await;
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = client
        .post(
            path,
            &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}),
        )
        .await;
    assert_eq!(review.code, 201);
    assert_eq!(
        review.body["status"]["userInfo"],
        json!({"username": "admin", "groups": ["system:masters"]})
    );
    assert_eq!(client.get(path).await.code, 405);
}

#[tokio::test]
async fn bodies_are_decoded_by_their_media_type() {
    let client = TestClient::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y1\ndata:\n  k: |\n    a\n";
    let made = client
        .send(
            "POST",
            CONFIG_MAPS,
            &[("content-type", "application/yaml")],
            yaml,
        )
        .await;
    assert_eq!((made.code, &made.body["data"]["k"]), (201, &json!("a\n")));
    client.define_widgets(sized_version()).await;
    for (path, other) in [
        (CONFIG_MAPS, "text/plain"),
        (WIDGETS, "application/vnd.kubernetes.protobuf"),
    ] {
        let refused = client
            .send(
                "POST",
                path,
                &[("content-type", other)],
                config_map("x").to_string(),
            )
            .await;
        assert_eq!(refused.reason(), (415, "UnsupportedMediaType"), "{other}");
    }
    assert_eq!(
        client
            .send("POST", CONFIG_MAPS, &[("content-type", JSON)], "{")
            .await
            .reason(),
        (400, "BadRequest")
    );
    let huge = vec![b' '; 3 * 1024 * 1024 + 1];
    assert_eq!(
        client
            .send("POST", CONFIG_MAPS, &[("content-type", JSON)], huge)
            .await
            .reason(),
        (413, "RequestEntityTooLarge")
    );
}

#[tokio::test]
async fn unsupported_methods_are_refused() {
    let client = TestClient::new().await;
    for (method, path) in [
        ("POST", "/version"),
        ("PUT", CONFIG_MAPS),
        ("POST", "/api/v1/namespaces/default/configmaps/a"),
        ("OPTIONS", CONFIG_MAPS),
        ("HEAD", CONFIG_MAPS),
        ("DELETE", "/api/v1/configmaps"),
    ] {
        assert_eq!(
            client.send(method, path, &[], "").await.code,
            405,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn json_is_indented_on_request() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let compact = client.get(&format!("{CONFIG_MAPS}/a")).await;
    assert_eq!(compact.text.matches('\n').count(), 1);
    let pretty = client.get(&format!("{CONFIG_MAPS}/a?pretty=true")).await;
    assert!(pretty.text.matches('\n').count() > 5);
    assert_eq!(pretty.body, compact.body);
}

/// A body that shows whether it was read to its end.
fn observed_body(
    frames: usize,
) -> (
    impl http_body::Body<Data = Bytes, Error = Infallible> + Send,
    Arc<AtomicBool>,
) {
    let was_read = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&was_read);
    let frames = (0..frames).map(|_| Ok(Frame::data(Bytes::from(vec![b' '; 100 * 1024]))));
    let end = iter::once_with(move || {
        flag.store(true, Ordering::SeqCst);
        Ok(Frame::data(Bytes::new()))
    });
    (
        StreamBody::new(futures::stream::iter(frames.chain(end))),
        was_read,
    )
}

#[tokio::test]
async fn the_body_of_a_rejected_request_does_not_end_its_connection() {
    let client = TestClient::new().await;
    for (frames, is_read) in [(1, true), (3, false)] {
        let (body, was_read) = observed_body(frames);
        let request = Request::put(CONFIG_MAPS)
            .extension(admin())
            .body(body)
            .unwrap();
        let response = client.0.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(was_read.load(Ordering::SeqCst), is_read, "{frames} frames");
        let close = response.headers().get("connection");
        assert_eq!(close.is_none(), is_read, "{frames} frames: {close:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_awaited_is_not_asked_for_in_vain() {
    let client = TestClient::new().await;
    let (body, was_read) = observed_body(0);
    let request = Request::put(CONFIG_MAPS)
        .header("expect", "100-continue")
        .extension(admin())
        .body(body)
        .unwrap();
    let response = client.0.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 405);
    assert!(!was_read.load(Ordering::SeqCst));
    assert_eq!(response.headers()["connection"], "close");
}
