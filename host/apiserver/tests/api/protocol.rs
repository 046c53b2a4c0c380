use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tower::ServiceExt as _;

use crate::client::{CMS, Client, JSON, WIDGETS, config_map, read, sized};

#[tokio::test]
async fn nobody_is_let_in_without_a_name() {
    let client = Client::new().await;
    for path in ["/api", CMS, "/nope"] {
        let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
        let answer = read(client.0.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(answer.reason(), (401, "Unauthorized"), "{path}");
    }
}

#[tokio::test]
async fn the_caller_learns_its_own_name() {
    let client = Client::new().await;
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
async fn bodies_are_read_by_their_media_type() {
    let client = Client::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y1\ndata:\n  k: |\n    a\n";
    let made = client
        .ask("POST", CMS, &[("content-type", "application/yaml")], yaml)
        .await;
    assert_eq!((made.code, &made.body["data"]["k"]), (201, &json!("a\n")));
    client.widgets(sized()).await;
    for (path, other) in [
        (CMS, "text/plain"),
        (WIDGETS, "application/vnd.kubernetes.protobuf"),
    ] {
        let refused = client
            .ask(
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
            .ask("POST", CMS, &[("content-type", JSON)], "{")
            .await
            .reason(),
        (400, "BadRequest")
    );
    let huge = vec![b' '; 3 * 1024 * 1024 + 1];
    assert_eq!(
        client
            .ask("POST", CMS, &[("content-type", JSON)], huge)
            .await
            .reason(),
        (413, "RequestEntityTooLarge")
    );
}

#[tokio::test]
async fn methods_that_mean_nothing_are_refused() {
    let client = Client::new().await;
    for (method, path) in [
        ("POST", "/version"),
        ("PUT", CMS),
        ("POST", "/api/v1/namespaces/default/configmaps/a"),
        ("OPTIONS", CMS),
        ("HEAD", CMS),
        ("DELETE", "/api/v1/configmaps"),
    ] {
        assert_eq!(
            client.ask(method, path, &[], "").await.code,
            405,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn json_is_indented_for_people() {
    let client = Client::new().await;
    client.post(CMS, &config_map("a")).await;
    let compact = client.get(&format!("{CMS}/a")).await;
    assert_eq!(compact.text.matches('\n').count(), 1);
    let pretty = client.get(&format!("{CMS}/a?pretty=true")).await;
    assert!(pretty.text.matches('\n').count() > 5);
    assert_eq!(pretty.body, compact.body);
}
