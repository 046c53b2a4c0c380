//! Token reviews and access reviews.

use std::sync::Arc;

use futures::future::BoxFuture;
use rdd_apiserver::{ApiServer, ApiServerOptions, TokenAuthenticator, TokenReviewError, UserInfo};
use serde_json::json;

use crate::client::{TestClient, user};

#[derive(Debug)]
struct SingleTokenAuthenticator;

impl TokenAuthenticator for SingleTokenAuthenticator {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<UserInfo, TokenReviewError>> {
        Box::pin(async move {
            if token == "good" {
                Ok(crate::client::admin())
            } else {
                Err(TokenReviewError::new("the token is unknown"))
            }
        })
    }
}

#[tokio::test]
async fn token_reviews_use_the_authenticator() {
    let options = ApiServerOptions {
        tokens: Some(Arc::new(SingleTokenAuthenticator)),
        ..ApiServerOptions::in_memory()
    };
    let client = TestClient(ApiServer::open(options).await.unwrap());
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let good = client.post(path, &json!({"spec": {"token": "good"}})).await;
    assert_eq!(good.body["status"]["authenticated"], true, "{}", good.text);
    assert_eq!(good.body["status"]["user"]["username"], "admin");
    let bad = client.post(path, &json!({"spec": {"token": "bad"}})).await;
    assert_eq!(bad.body["status"], json!({"error": "the token is unknown"}));
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
async fn access_reviews_are_decided_by_the_roles() {
    let client = TestClient::new().await;
    let root = "/apis/authorization.k8s.io/v1";
    let get = json!({"verb": "get", "resource": "pods"});
    let own = format!("{root}/selfsubjectaccessreviews");
    let response = client
        .post(&own, &json!({"spec": {"resourceAttributes": get}}))
        .await;
    assert_eq!(
        (response.code, &response.body["status"]["allowed"]),
        (201, &json!(true))
    );
    assert_eq!(response.body["spec"]["resourceAttributes"], get);
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
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": "reader"}, "rules": [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
    ]});
    client.post(&format!("{rbac}/clusterroles"), &role).await;
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "User", "name": "alice"}, {"kind": "Group", "name": "team"}],
    });
    client
        .post(&format!("{rbac}/clusterrolebindings"), &binding)
        .await;
    let of = format!("{root}/subjectaccessreviews");
    for (subject, allowed) in [
        (json!({"user": "alice"}), true),
        (json!({"user": "bob"}), false),
        (json!({"user": "bob", "groups": ["team"]}), true),
        (json!({"groups": ["team"]}), true),
        (json!({"groups": ["system:masters"]}), true),
        // A name is no right.
        (json!({"user": "admin"}), false),
    ] {
        let mut spec = subject.clone();
        spec["resourceAttributes"] = get.clone();
        let response = client.post(&of, &json!({"spec": spec})).await;
        assert_eq!(response.body["status"]["allowed"], allowed, "{subject}");
    }
    let spec = json!({"spec": {"user": "alice", "resourceAttributes": get}});
    assert_eq!(
        client.post(&of, &spec).await.body["status"],
        json!({
            "allowed": true,
            "reason": r#"RBAC: allowed by ClusterRoleBinding "reader" of ClusterRole "reader" to User "alice""#,
        })
    );
    let local = format!("{root}/namespaces/default/localsubjectaccessreviews");
    let spec = json!({"spec": {"user": "alice", "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}});
    assert_eq!(
        client.post(&local, &spec).await.body["status"]["allowed"],
        true
    );
    let spec = json!({"spec": {"user": "alice", "resourceAttributes": {"namespace": "other", "verb": "get"}}});
    assert_eq!(client.post(&local, &spec).await.reason(), (422, "Invalid"));
    let rules = client
        .post(
            &format!("{root}/selfsubjectrulesreviews"),
            &json!({"spec": {"namespace": "default"}}),
        )
        .await;
    assert_eq!(rules.body["status"]["incomplete"], false);
    let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    assert_eq!(rules.body["status"]["resourceRules"][0], all);
    let of_alice = client
        .send_as(
            &user("alice", &[]),
            "POST",
            &format!("{root}/selfsubjectrulesreviews"),
            &[],
            &json!({"spec": {"namespace": "default"}}),
        )
        .await;
    let own = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
    let listed = of_alice.body["status"]["resourceRules"].as_array().unwrap();
    assert!(
        listed.contains(&own) && !listed.contains(&all),
        "{listed:?}"
    );
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
