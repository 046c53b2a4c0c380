//! Roles and bindings: what they allow, and the 403 of what they do not.

use rdd_apiserver::UserInfo;
use serde_json::{Value, json};

use crate::client::{
    APPLY, CONFIG_MAPS, MERGE, TestClient, admin, config_map, sized_version, user, widget,
};

pub(crate) const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

pub(crate) fn alice() -> UserInfo {
    user("alice", &["team"])
}

async fn create(client: &TestClient, path: &str, body: &Value) {
    let response = client.post(&format!("{RBAC}/{path}"), body).await;
    assert_eq!(response.code, 201, "{}", response.text);
}

/// Creates a ClusterRole with rules, and binds it to alice.
async fn grant_everywhere(client: &TestClient, name: &str, rules: Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    create(client, "clusterroles", &role).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": "alice"}],
    });
    create(client, "clusterrolebindings", &binding).await;
}

/// Creates a Role with rules in namespace default, and binds it to alice.
pub(crate) async fn grant_in_default(client: &TestClient, name: &str, rules: Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    create(client, "namespaces/default/roles", &role).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"kind": "Role", "name": name},
        "subjects": [{"kind": "User", "name": "alice"}],
    });
    create(client, "namespaces/default/rolebindings", &binding).await;
}

pub(crate) fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

#[tokio::test]
async fn a_user_without_roles_gets_the_messages_of_kubernetes() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    for (method, path, message) in [
        (
            "GET",
            "/api/v1/pods",
            r#"pods is forbidden: User "alice" cannot list resource "pods" in API group "" at the cluster scope"#,
        ),
        (
            "GET",
            CONFIG_MAPS,
            r#"configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" in the namespace "default""#,
        ),
        (
            "GET",
            "/api/v1/namespaces/default/configmaps?watch=true",
            r#"configmaps is forbidden: User "alice" cannot watch resource "configmaps" in API group "" in the namespace "default""#,
        ),
        (
            "GET",
            "/api/v1/namespaces/default/secrets/a",
            r#"secrets "a" is forbidden: User "alice" cannot get resource "secrets" in API group "" in the namespace "default""#,
        ),
        (
            "GET",
            "/api/v1/namespaces/default",
            r#"namespaces "default" is forbidden: User "alice" cannot get resource "namespaces" in API group "" in the namespace "default""#,
        ),
        (
            "DELETE",
            "/apis/example.com/v1/namespaces/default/widgets",
            r#"widgets.example.com is forbidden: User "alice" cannot deletecollection resource "widgets" in API group "example.com" in the namespace "default""#,
        ),
        (
            "PATCH",
            "/apis/example.com/v1/namespaces/default/widgets/a/status",
            r#"widgets.example.com "a" is forbidden: User "alice" cannot patch resource "widgets/status" in API group "example.com" in the namespace "default""#,
        ),
        (
            "GET",
            "/metrics",
            r#"forbidden: User "alice" cannot get path "/metrics""#,
        ),
    ] {
        let response = client
            .send_as(&alice(), method, path, &[], &Value::Null)
            .await;
        assert_eq!(response.reason(), (403, "Forbidden"), "{method} {path}");
        assert_eq!(response.body["message"], message);
    }
    let details = client
        .send_as(
            &alice(),
            "GET",
            "/api/v1/namespaces/default/secrets/a",
            &[],
            &Value::Null,
        )
        .await;
    let expected = json!({"name": "a", "kind": "secrets"});
    assert_eq!(details.body["details"], expected);
}

#[tokio::test]
async fn every_user_may_discover_what_is_served_and_ask_for_their_rights() {
    let client = TestClient::new().await;
    for path in [
        "/api",
        "/apis",
        "/apis/apps",
        "/api/v1",
        "/version",
        "/openapi/v3",
        "/readyz",
    ] {
        let response = client
            .send_as(&alice(), "GET", path, &[], &Value::Null)
            .await;
        assert_ne!(response.code, 403, "{path}");
    }
    let review = client
        .send_as(
            &alice(),
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            &[],
            &json!({"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}),
        )
        .await;
    assert_eq!(review.body["status"], json!({"allowed": false}));
    // Not even that, without the group of authenticated users.
    let nobody = UserInfo {
        name: "nobody".to_owned(),
        ..UserInfo::default()
    };
    let response = client
        .send_as(&nobody, "GET", "/api", &[], &Value::Null)
        .await;
    assert_eq!(response.code, 403);
}

#[tokio::test]
async fn a_binding_is_in_force_when_its_write_returns_and_ends_with_its_deletion() {
    let client = TestClient::new().await;
    grant_everywhere(
        &client,
        "reader",
        json!([rule(&["list"], "", &["configmaps"])]),
    )
    .await;
    let list = async || {
        let response = client
            .send_as(&alice(), "GET", "/api/v1/configmaps", &[], &Value::Null)
            .await;
        response.code
    };
    assert_eq!(list().await, 200);
    let deleted = client
        .delete(&format!("{RBAC}/clusterrolebindings/reader"))
        .await;
    assert_eq!(deleted.code, 200);
    assert_eq!(list().await, 403);
}

#[tokio::test]
async fn a_role_in_a_namespace_allows_nothing_elsewhere() {
    let client = TestClient::new().await;
    grant_in_default(
        &client,
        "editor",
        json!([rule(
            &["get", "create", "list"],
            "",
            &["configmaps", "namespaces"]
        )]),
    )
    .await;
    let send = async |method: &str, path: &str, body: Value| {
        client
            .send_as(&alice(), method, path, &[], &body)
            .await
            .code
    };
    assert_eq!(send("POST", CONFIG_MAPS, config_map("a")).await, 201);
    assert_eq!(send("GET", CONFIG_MAPS, Value::Null).await, 200);
    let elsewhere = "/api/v1/namespaces/kube-system/configmaps";
    assert_eq!(send("POST", elsewhere, config_map("a")).await, 403);
    assert_eq!(send("GET", "/api/v1/configmaps", Value::Null).await, 403);
    // A namespace is within itself.
    assert_eq!(
        send("GET", "/api/v1/namespaces/default", Value::Null).await,
        200
    );
    assert_eq!(send("GET", "/api/v1/namespaces", Value::Null).await, 403);
    // Not even an existing object tells that it exists.
    let delete = format!("{CONFIG_MAPS}/a");
    assert_eq!(send("DELETE", &delete, Value::Null).await, 403);
}

#[tokio::test]
async fn a_rule_with_names_allows_a_collection_that_selects_one_of_them() {
    let client = TestClient::new().await;
    let named = json!({
        "verbs": ["list", "watch", "get"],
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["a"],
    });
    grant_in_default(&client, "named", json!([named])).await;
    for name in ["a", "b"] {
        client.post(CONFIG_MAPS, &config_map(name)).await;
    }
    for (query, code) in [
        ("", 403),
        ("/a", 200),
        ("/b", 403),
        ("?fieldSelector=metadata.name%3Da", 200),
        ("?fieldSelector=metadata.name%3Db", 403),
        ("?fieldSelector=metadata.name!%3Da", 403),
        (
            "?fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db",
            200,
        ),
    ] {
        let path = format!("{CONFIG_MAPS}{query}");
        let response = client
            .send_as(&alice(), "GET", &path, &[], &Value::Null)
            .await;
        assert_eq!(response.code, code, "{query}");
        let items = response.body["items"].to_string();
        assert!(!items.contains(r#""name":"b""#), "{query}");
    }
}

#[tokio::test]
async fn an_apply_or_a_put_that_creates_needs_the_right_to_create() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    grant_in_default(
        &client,
        "changer",
        json!([
            rule(&["patch"], "example.com", &["widgets"]),
            rule(&["update"], "coordination.k8s.io", &["leases"]),
        ]),
    )
    .await;
    let apply = async |name: &str| {
        let path = format!(
            "/apis/example.com/v1/namespaces/default/widgets/{name}?fieldManager=alice&force=true"
        );
        let headers = [("content-type", APPLY)];
        let body = widget(name, json!({"size": 3}));
        client
            .send_as(&alice(), "PATCH", &path, &headers, &body)
            .await
    };
    let refused = apply("a").await;
    assert_eq!(refused.code, 403, "{}", refused.text);
    assert_eq!(
        refused.body["message"],
        r#"widgets.example.com "a" is forbidden: User "alice" cannot create resource "widgets" in API group "example.com" in the namespace "default""#
    );
    client
        .post(crate::client::WIDGETS, &widget("a", json!({"size": 1})))
        .await;
    assert_eq!(apply("a").await.code, 200);
    let lease =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}});
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let put = client.send_as(&alice(), "PUT", path, &[], &lease).await;
    assert_eq!(put.code, 403, "{}", put.text);
    let made = client.put(path, &lease).await;
    assert_eq!(made.code, 201);
    let put = client.send_as(&alice(), "PUT", path, &[], &made.body).await;
    assert_eq!(put.code, 200, "{}", put.text);
}

#[tokio::test]
async fn masters_keep_their_rights_without_any_role() {
    let client = TestClient::new().await;
    for collection in ["clusterrolebindings", "clusterroles"] {
        client.delete(&format!("{RBAC}/{collection}")).await;
    }
    let listed = client
        .send_as(&admin(), "GET", "/api/v1/secrets", &[], &Value::Null)
        .await;
    assert_eq!(listed.code, 200);
}

#[tokio::test]
async fn roles_are_validated_and_listed_as_in_kubernetes() {
    let client = TestClient::new().await;
    let invalid = json!({"metadata": {"name": "a"}, "rules": [{"verbs": [], "apiGroups": [""]}]});
    let path = format!("{RBAC}/clusterroles");
    let response = client.post(&path, &invalid).await;
    assert_eq!(
        response.body["message"],
        r#"ClusterRole.rbac.authorization.k8s.io "a" is invalid: [rules[0].verbs: Required value: verbs must contain at least one value, rules[0].resources: Required value: resource rules must supply at least one resource]"#
    );
    grant_in_default(
        &client,
        "reader",
        json!([rule(&["get"], "", &["configmaps"])]),
    )
    .await;
    let change = json!({"roleRef": {"kind": "Role", "name": "other"}});
    let path = format!("{RBAC}/namespaces/default/rolebindings/reader");
    let changed = client.patch(&path, MERGE, &change).await;
    assert_eq!(changed.reason(), (422, "Invalid"), "{}", changed.text);
    assert!(
        changed.text.contains("cannot change roleRef"),
        "{}",
        changed.text
    );
    let table = client
        .send(
            "GET",
            &format!("{RBAC}/namespaces/default/rolebindings"),
            &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")],
            bytes::Bytes::new(),
        )
        .await;
    let cells = &table.body["rows"][0]["cells"];
    assert_eq!(cells[1], "Role/reader");
    assert_eq!(cells[3], "alice");
    let discovered = client.get(RBAC).await;
    for kind in [
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
    ] {
        assert!(discovered.text.contains(&format!("\"{kind}\"")), "{kind}");
    }
}
