//! Nobody grants more than they have.

use serde_json::{Value, json};

use crate::authorization::{RBAC, alice, grant_in_default, rule};
use crate::client::{MERGE, TestClient};

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let client = TestClient::new().await;
    let rbac = "rbac.authorization.k8s.io";
    grant_in_default(
        &client,
        "granter",
        json!([
            rule(&["get", "list"], "", &["configmaps"]),
            rule(
                &["create", "update", "patch"],
                rbac,
                &["roles", "rolebindings"]
            ),
        ]),
    )
    .await;
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |name: &str, verbs: &[&str], resources: &[&str]| json!({"metadata": {"name": name}, "rules": [rule(verbs, "", resources)]});
    let post =
        async |path: &str, body: Value| client.send_as(&alice(), "POST", path, &[], &body).await;
    let held = post(&roles, role("held", &["list"], &["configmaps"])).await;
    assert_eq!(held.code, 201, "{}", held.text);
    let refused = post(
        &roles,
        role("more", &["get", "delete", "create"], &["configmaps"]),
    )
    .await;
    assert_eq!(refused.reason(), (403, "Forbidden"));
    assert_eq!(
        refused.body["message"],
        "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"alice\" (groups=[\"team\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"configmaps\"], Verbs:[\"delete\" \"create\"]}"
    );
    // Nor by a change of a role that exists.
    let change = json!({"rules": [rule(&["*"], "*", &["*"])]});
    let patched = client
        .send_as(
            &alice(),
            "PATCH",
            &format!("{roles}/held"),
            &[("content-type", MERGE)],
            &change,
        )
        .await;
    assert_eq!(patched.code, 403, "{}", patched.text);
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let labeled = client
        .send_as(
            &alice(),
            "PATCH",
            &format!("{roles}/granter"),
            &[("content-type", MERGE)],
            &labels,
        )
        .await;
    assert_eq!(labeled.code, 200, "{}", labeled.text);
    // Nor by a binding to a role of others.
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let binding = |name: &str, kind: &str, role: &str| {
        json!({
            "metadata": {"name": name},
            "roleRef": {"kind": kind, "name": role},
            "subjects": [{"kind": "User", "name": "alice"}],
        })
    };
    let bound = post(&bindings, binding("own", "Role", "held")).await;
    assert_eq!(bound.code, 201, "{}", bound.text);
    let admin_role = post(&bindings, binding("all", "ClusterRole", "cluster-admin")).await;
    assert_eq!(admin_role.reason(), (403, "Forbidden"));
    let missing = post(&bindings, binding("gone", "Role", "gone")).await;
    assert_eq!(
        missing.body["message"],
        r#"rolebindings.rbac.authorization.k8s.io "gone" is forbidden: role.rbac.authorization.k8s.io "gone" not found"#
    );
}

#[tokio::test]
async fn the_verbs_escalate_and_bind_allow_to_grant_more() {
    let client = TestClient::new().await;
    let rbac = "rbac.authorization.k8s.io";
    let bind = json!({
        "verbs": ["bind"], "apiGroups": [rbac], "resources": ["clusterroles"],
        "resourceNames": ["cluster-admin"],
    });
    grant_in_default(
        &client,
        "granter",
        json!([
            rule(&["create", "escalate"], rbac, &["roles", "rolebindings"]),
            bind
        ]),
    )
    .await;
    let role = json!({"metadata": {"name": "all"}, "rules": [rule(&["*"], "*", &["*"])]});
    let path = format!("{RBAC}/namespaces/default/roles");
    let created = client.send_as(&alice(), "POST", &path, &[], &role).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let binding = json!({
        "metadata": {"name": "all"},
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "name": "alice"}],
    });
    let path = format!("{RBAC}/namespaces/default/rolebindings");
    let bound = client.send_as(&alice(), "POST", &path, &[], &binding).await;
    assert_eq!(bound.code, 201, "{}", bound.text);
    let secrets = "/api/v1/namespaces/default/secrets";
    let listed = client
        .send_as(&alice(), "GET", secrets, &[], &Value::Null)
        .await;
    assert_eq!(listed.code, 200);
}
