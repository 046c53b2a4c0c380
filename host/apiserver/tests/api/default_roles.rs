//! The roles that exist in each cluster, and roles that are aggregated.

use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
use serde_json::{Value, json};

use crate::authorization::{RBAC, alice, rule};
use crate::client::{ApiResponse, CONFIG_MAPS, MERGE, TestClient, config_map, user};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn cluster_role(name: &str) -> String {
    format!("{RBAC}/clusterroles/{name}")
}

/// Returns what allows a role to be aggregated to another one.
fn aggregate_to(role: &str) -> Value {
    json!({(format!("rbac.authorization.k8s.io/aggregate-to-{role}")): "true"})
}

/// Binds a ClusterRole to a user in the namespace default.
async fn bind(client: &TestClient, role: &str, name: &str) -> UserInfo {
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": name}],
    });
    let path = format!("{RBAC}/namespaces/default/rolebindings");
    let response = client.post(&path, &binding).await;
    assert_eq!(response.code, 201, "{}", response.text);
    user(name, &[])
}

async fn get_as(client: &TestClient, user: &UserInfo, path: &str) -> u16 {
    client
        .send_as(user, "GET", path, &[], &Value::Null)
        .await
        .code
}

async fn post_as(client: &TestClient, user: &UserInfo, path: &str, body: &Value) -> ApiResponse {
    client.send_as(user, "POST", path, &[], body).await
}

fn binding_to(role: &str) -> Value {
    json!({
        "metadata": {"name": format!("of-{role}")},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "bob"}],
    })
}

#[tokio::test]
async fn view_edit_and_admin_have_the_rights_of_their_names() {
    let client = TestClient::new().await;
    let viewer = bind(&client, "view", "viewer").await;
    let editor = bind(&client, "edit", "editor").await;
    let administrator = bind(&client, "admin", "administrator").await;
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    for (user, reads_secrets, writes, grants) in [
        (&viewer, 403, 403, 403),
        (&editor, 200, 201, 403),
        (&administrator, 200, 201, 201),
    ] {
        let name = user.name.as_str();
        assert_eq!(get_as(&client, user, CONFIG_MAPS).await, 200, "{name}");
        assert_eq!(
            get_as(&client, user, SECRETS).await,
            reads_secrets,
            "{name}"
        );
        let elsewhere = "/api/v1/namespaces/kube-system/configmaps";
        assert_eq!(get_as(&client, user, elsewhere).await, 403, "{name}");
        let created = post_as(&client, user, CONFIG_MAPS, &config_map(name)).await;
        assert_eq!(created.code, writes, "{name}: {}", created.text);
        let granted = post_as(&client, user, &bindings, &binding_to("view")).await;
        assert_eq!(granted.code, grants, "{name}: {}", granted.text);
    }
    // An administrator of a namespace grants nothing beyond it.
    let all = post_as(
        &client,
        &administrator,
        &bindings,
        &binding_to("cluster-admin"),
    )
    .await;
    assert_eq!(all.code, 403, "{}", all.text);
    let roles = format!("{RBAC}/clusterroles");
    let role = json!({"metadata": {"name": "own"}, "rules": []});
    assert_eq!(
        post_as(&client, &administrator, &roles, &role).await.code,
        403
    );
}

#[tokio::test]
async fn a_role_with_the_label_is_aggregated_until_it_is_deleted() {
    let client = TestClient::new().await;
    let viewer = bind(&client, "view", "viewer").await;
    let editor = bind(&client, "edit", "editor").await;
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    assert_eq!(get_as(&client, &viewer, widgets).await, 403);
    let role = json!({
        "metadata": {"name": "widgets-view", "labels": aggregate_to("view")},
        "rules": [rule(&["list"], "example.com", &["widgets"])],
    });
    let path = format!("{RBAC}/clusterroles");
    assert_eq!(client.post(&path, &role).await.code, 201);
    // In force when the response was sent, also through two roles; the kind is missing.
    assert_eq!(get_as(&client, &viewer, widgets).await, 404);
    assert_eq!(get_as(&client, &editor, widgets).await, 404);
    // The role shows it soon.
    client
        .wait_until(&cluster_role("admin"), |response| {
            response.text.contains("widgets")
        })
        .await;
    assert_eq!(client.delete(&cluster_role("widgets-view")).await.code, 200);
    assert_eq!(get_as(&client, &viewer, widgets).await, 403);
    assert_eq!(get_as(&client, &editor, widgets).await, 403);
    client
        .wait_until(&cluster_role("admin"), |response| {
            !response.text.contains("widgets")
        })
        .await;
    // What is written into an aggregated role is replaced.
    let own = json!({"rules": [rule(&["*"], "*", &["*"])]});
    let written = client.patch(&cluster_role("view"), MERGE, &own).await;
    assert_eq!(written.code, 200, "{}", written.text);
    assert_eq!(get_as(&client, &viewer, SECRETS).await, 403);
    client
        .wait_until(&cluster_role("view"), |response| {
            !response.text.contains("\"*\"")
        })
        .await;
}

#[tokio::test]
async fn nobody_gets_more_rights_by_aggregation() {
    let client = TestClient::new().await;
    // Alice may write cluster roles, and is a viewer in the whole cluster.
    let verbs = ["create", "update", "patch", "get"];
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({
        "metadata": {"name": "writer"},
        "rules": [rule(&verbs, rbac, &["clusterroles"])],
    });
    client.post(&format!("{RBAC}/clusterroles"), &role).await;
    for role in ["writer", "view"] {
        let mut binding = binding_to(role);
        binding["subjects"][0]["name"] = "alice".into();
        let path = format!("{RBAC}/clusterrolebindings");
        assert_eq!(client.post(&path, &binding).await.code, 201);
    }
    let patch = async |name: &str, change: Value| {
        let headers = [("content-type", MERGE)];
        client
            .send_as(&alice(), "PATCH", &cluster_role(name), &headers, &change)
            .await
    };
    // The label would give the rules of others to what alice has.
    for name in ["cluster-admin", "system:aggregate-to-edit"] {
        let labeled = patch(name, json!({"metadata": {"labels": aggregate_to("view")}})).await;
        assert_eq!(labeled.code, 403, "{}", labeled.text);
        assert!(
            labeled.text.contains("not currently held"),
            "{}",
            labeled.text
        );
    }
    // She has the rules of this one, so they are no news.
    let labeled = patch(
        "writer",
        json!({"metadata": {"labels": aggregate_to("view")}}),
    )
    .await;
    assert_eq!(labeled.code, 200, "{}", labeled.text);
    let everything = json!({"clusterRoleSelectors": [{}]});
    let refused = [
        patch("writer", json!({"aggregationRule": everything})).await,
        patch("view", json!({"aggregationRule": everything})).await,
        // An aggregated role could be prevented from losing rights.
        patch("view", json!({"aggregationRule": null})).await,
        patch("view", json!({"metadata": {"labels": {"a": "b"}}})).await,
        post_as(
            &client,
            &alice(),
            &format!("{RBAC}/clusterroles"),
            &json!({"metadata": {"name": "all"}, "aggregationRule": everything}),
        )
        .await,
    ];
    for response in refused {
        assert_eq!(response.code, 403, "{}", response.text);
        let why = "must have cluster-admin privileges to use the aggregationRule";
        assert!(response.text.contains(why), "{}", response.text);
    }
    assert_eq!(get_as(&client, &alice(), SECRETS).await, 403);
}

#[tokio::test]
async fn default_roles_get_back_what_they_lack_unless_they_are_annotated() {
    let dir = tempfile::tempdir().unwrap();
    let options = || ApiServerOptions::file(dir.path().join("api.db"));
    let client = TestClient(ApiServer::open(options()).await.unwrap());
    let autoupdate = |value: &str| json!({"annotations": {"rbac.authorization.kubernetes.io/autoupdate": value}});
    let more = rule(&["get"], "example.com", &["more"]);
    for (name, change) in [
        ("system:basic-user", json!({"rules": [more]})),
        (
            "system:discovery",
            json!({"rules": [], "metadata": autoupdate("false")}),
        ),
        // Somebody else's since the label is gone.
        (
            "system:aggregate-to-view",
            json!({"rules": [], "metadata": {"labels": {"kubernetes.io/bootstrapping": null}}}),
        ),
        ("cluster-admin", json!({"metadata": autoupdate("true")})),
    ] {
        let changed = client.patch(&cluster_role(name), MERGE, &change).await;
        assert_eq!(changed.code, 200, "{}", changed.text);
    }
    client
        .delete(&cluster_role("system:aggregate-to-edit"))
        .await;
    let binding = format!("{RBAC}/clusterrolebindings/system:basic-user");
    let others = json!({"subjects": [{"kind": "User", "name": "bob"}]});
    assert_eq!(client.patch(&binding, MERGE, &others).await.code, 200);
    let untouched = client.get(&cluster_role("cluster-admin")).await;
    client.0.close().await;

    let client = TestClient(ApiServer::open(options()).await.unwrap());
    let basic = client.get(&cluster_role("system:basic-user")).await;
    assert!(basic.text.contains("selfsubjectreviews"), "{}", basic.text);
    assert!(
        basic.text.contains("more"),
        "nothing is removed: {}",
        basic.text
    );
    let discovery = client.get(&cluster_role("system:discovery")).await;
    assert_eq!(discovery.body["rules"], json!(null));
    let view = client.get(&cluster_role("system:aggregate-to-view")).await;
    assert_eq!(view.body["rules"], json!(null));
    let edit = client.get(&cluster_role("system:aggregate-to-edit")).await;
    assert!(edit.text.contains("secrets"), "{}", edit.text);
    let subjects = client.get(&binding).await.body["subjects"].clone();
    assert_eq!(subjects.as_array().unwrap().len(), 2, "{subjects}");
    // What lacks nothing is not written.
    let now = client.get(&cluster_role("cluster-admin")).await;
    assert_eq!(now.resource_version(), untouched.resource_version());
    client.0.close().await;
}
