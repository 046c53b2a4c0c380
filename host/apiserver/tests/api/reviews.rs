//! Who a caller or a token is, and what somebody may do.

use std::sync::Arc;

use futures::future::BoxFuture;
use rdd_apiserver::{ApiServer, ApiServerOptions, TokenAuthenticator, TokenReviewError, UserInfo};
use serde_json::json;

use crate::client::Client;

#[derive(Debug)]
struct OneToken;

impl TokenAuthenticator for OneToken {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<UserInfo, TokenReviewError>> {
        Box::pin(async move {
            if token == "good" {
                Ok(crate::client::admin())
            } else {
                Err(TokenReviewError::new("the token is nobody's"))
            }
        })
    }
}

#[tokio::test]
async fn tokens_are_told_apart() {
    let options = ApiServerOptions {
        tokens: Some(Arc::new(OneToken)),
        ..ApiServerOptions::in_memory()
    };
    let client = Client(ApiServer::open(options).await.unwrap());
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let good = client.post(path, &json!({"spec": {"token": "good"}})).await;
    assert_eq!(good.body["status"]["authenticated"], true, "{}", good.text);
    assert_eq!(good.body["status"]["user"]["username"], "admin");
    let bad = client.post(path, &json!({"spec": {"token": "bad"}})).await;
    assert_eq!(
        bad.body["status"],
        json!({"error": "the token is nobody's"})
    );
    let other = json!({"spec": {"token": "good", "audiences": ["vault"]}});
    assert!(client.post(path, &other).await.body["status"]["authenticated"].is_null());
    assert_eq!(
        client.post(path, &json!({})).await.reason(),
        (422, "Invalid")
    );
    assert_eq!(
        client.post(path, &json!({"spec": {"token": 7}})).await.code,
        400
    );
}

#[tokio::test]
async fn access_is_answered_for_the_caller_and_for_others() {
    let client = Client::new().await;
    let root = "/apis/authorization.k8s.io/v1";
    let get = json!({"verb": "get", "resource": "pods"});
    let own = format!("{root}/selfsubjectaccessreviews");
    let answer = client
        .post(&own, &json!({"spec": {"resourceAttributes": get}}))
        .await;
    assert_eq!(
        (answer.code, &answer.body["status"]["allowed"]),
        (201, &json!(true))
    );
    assert_eq!(answer.body["spec"]["resourceAttributes"], get);
    let path = json!({"spec": {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}});
    assert_eq!(
        client.post(&own, &path).await.body["status"]["allowed"],
        true
    );
    assert_eq!(
        client.post(&own, &json!({"spec": {}})).await.reason(),
        (422, "Invalid")
    );
    assert_eq!(client.get(&own).await.code, 405);
    let of = format!("{root}/subjectaccessreviews");
    for (subject, allowed) in [
        (json!({"user": "admin"}), true),
        (json!({"user": "alice"}), false),
        (json!({"groups": ["system:masters"]}), true),
        (json!({"user": "admin", "groups": ["other"]}), false),
    ] {
        let mut spec = subject.clone();
        spec["resourceAttributes"] = get.clone();
        let answer = client.post(&of, &json!({"spec": spec})).await;
        assert_eq!(answer.body["status"]["allowed"], allowed, "{subject}");
    }
    let local = format!("{root}/namespaces/default/localsubjectaccessreviews");
    let spec = json!({"spec": {"user": "admin", "resourceAttributes": {"namespace": "default", "verb": "get"}}});
    assert_eq!(
        client.post(&local, &spec).await.body["status"]["allowed"],
        true
    );
    let spec = json!({"spec": {"user": "admin", "resourceAttributes": {"namespace": "other", "verb": "get"}}});
    assert_eq!(client.post(&local, &spec).await.reason(), (422, "Invalid"));
    let rules = client
        .post(
            &format!("{root}/selfsubjectrulesreviews"),
            &json!({"spec": {"namespace": "default"}}),
        )
        .await;
    assert_eq!(rules.body["status"]["incomplete"], false);
    let listed = client.get(root).await;
    assert!(
        listed.text.contains("selfsubjectrulesreviews"),
        "{}",
        listed.text
    );
    assert_eq!(
        client
            .get("/openapi/v3/apis/authorization.k8s.io/v1")
            .await
            .code,
        200
    );
}
