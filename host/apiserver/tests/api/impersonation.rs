//! Impersonation: a request is carried out as another user, if the roles allow it.

use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
use serde_json::{Value, json};

use crate::client::{ApiResponse, CONFIG_MAPS, TestClient, admin, user};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn whoami(client: &TestClient, user: &UserInfo, headers: &[(&str, &str)]) -> ApiResponse {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    client
        .send_as(user, "POST", WHOAMI, &headers, &json!({}))
        .await
}

#[tokio::test]
async fn the_impersonated_user_is_the_one_who_is_authorized() {
    let client = TestClient::new().await;
    let review = whoami(
        &client,
        &admin(),
        &[
            ("impersonate-user", "bob"),
            ("impersonate-group", "team"),
            ("impersonate-group", "other"),
            ("impersonate-uid", "42"),
            ("impersonate-extra-example.com%2fscope", "one"),
            ("impersonate-extra-example.com%2Fscope", "two"),
        ],
    )
    .await;
    assert_eq!(
        review.body["status"]["userInfo"],
        json!({
            "username": "bob",
            "uid": "42",
            "groups": ["team", "other", "system:authenticated"],
            "extra": {"example.com/scope": ["one", "two"]},
        }),
        "{}",
        review.text
    );
    let refused = client
        .send_as(
            &admin(),
            "GET",
            CONFIG_MAPS,
            &[("impersonate-user", "bob")],
            &Value::Null,
        )
        .await;
    assert_eq!(
        refused.body["message"],
        r#"configmaps is forbidden: User "bob" cannot list resource "configmaps" in API group "" in the namespace "default""#
    );
    // An administrator remains one only by the group.
    let master = [
        ("impersonate-user", "bob"),
        ("impersonate-group", "system:masters"),
    ];
    let allowed = client
        .send_as(&admin(), "GET", CONFIG_MAPS, &master, &Value::Null)
        .await;
    assert_eq!(allowed.code, 200);
}

#[tokio::test]
async fn a_service_account_has_the_groups_of_its_namespace() {
    let client = TestClient::new().await;
    let account = "system:serviceaccount:default:bot";
    let review = whoami(&client, &admin(), &[("impersonate-user", account)]).await;
    assert_eq!(
        review.body["status"]["userInfo"]["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ])
    );
}

#[tokio::test]
async fn each_attribute_needs_a_right_of_its_own() {
    let client = TestClient::new().await;
    let eve = user("eve", &[]);
    let account = ("impersonate-user", "system:serviceaccount:default:bot");
    let bob = ("impersonate-user", "bob");
    for (headers, message) in [
        (
            vec![bob],
            r#"users "bob" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope"#,
        ),
        (
            vec![account],
            r#"serviceaccounts "bot" is forbidden: User "eve" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default""#,
        ),
    ] {
        let refused = whoami(&client, &eve, &headers).await;
        assert_eq!(refused.reason(), (403, "Forbidden"));
        assert_eq!(refused.body["message"], message);
    }
    let role = json!({"metadata": {"name": "impersonator"}, "rules": [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
    ]});
    client.post(&format!("{RBAC}/clusterroles"), &role).await;
    let binding = json!({
        "metadata": {"name": "impersonator"},
        "roleRef": {"kind": "ClusterRole", "name": "impersonator"},
        "subjects": [{"kind": "User", "name": "eve"}],
    });
    client
        .post(&format!("{RBAC}/clusterrolebindings"), &binding)
        .await;
    assert_eq!(whoami(&client, &eve, &[bob]).await.code, 201);
    for (header, message) in [
        (
            ("impersonate-group", "system:masters"),
            r#"groups "system:masters" is forbidden: User "eve" cannot impersonate resource "groups" in API group "" at the cluster scope"#,
        ),
        (
            ("impersonate-uid", "42"),
            r#"uids.authentication.k8s.io "42" is forbidden: User "eve" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope"#,
        ),
        (
            ("impersonate-extra-scopes", "all"),
            r#"userextras.authentication.k8s.io "all" is forbidden: User "eve" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope"#,
        ),
    ] {
        let refused = whoami(&client, &eve, &[bob, header]).await;
        assert_eq!(refused.body["message"], message);
    }
}

#[tokio::test]
async fn headers_without_a_user_and_unknown_ones_are_rejected_on_every_path() {
    let client = TestClient::new().await;
    for path in [CONFIG_MAPS, "/api", "/version", "/openapi/v3", "/nope"] {
        for header in [
            "impersonate-group",
            "impersonate-uid",
            "impersonate-extra-scopes",
            "impersonate-password",
        ] {
            let response = client
                .send_as(&admin(), "GET", path, &[(header, "alice")], &Value::Null)
                .await;
            assert_eq!(response.reason(), (400, "BadRequest"), "{path} {header}");
        }
    }
}

#[tokio::test]
async fn nobody_impersonates_the_user_of_the_embedder() {
    let options = ApiServerOptions {
        reserved_users: vec!["system:own".to_owned()],
        ..ApiServerOptions::in_memory()
    };
    let client = TestClient(ApiServer::open(options).await.unwrap());
    let refused = whoami(&client, &admin(), &[("impersonate-user", "system:own")]).await;
    assert_eq!(refused.reason(), (403, "Forbidden"), "{}", refused.text);
}
