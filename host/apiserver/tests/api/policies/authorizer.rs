//! Policies that ask what the roles allow.

use serde_json::{Value, json};

use super::{CONFIG_MAPS, TestClient, config_map, enforce};
use crate::authorization::{grant_in_default, rule};
use crate::client::{ApiResponse, admin, user};

/// Tries to create a config map as alice, in the namespace default.
async fn try_create_as_alice(client: &TestClient) -> ApiResponse {
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    client
        .send_as(&user("alice", &[]), "POST", &path, &[], &config_map("c"))
        .await
}

/// Grants alice what she needs to create config maps, and more.
async fn grant(client: &TestClient, name: &str, more: Value) {
    let create = rule(&["create"], "", &["configmaps"]);
    grant_in_default(client, name, json!([create, more])).await;
}

fn asks(expression: &str) -> Value {
    json!({"validations": [{"expression": expression, "message": "the roles say no"}]})
}

#[tokio::test]
async fn a_policy_asks_what_the_roles_allow_the_user() {
    let client = TestClient::new().await;
    grant(&client, "creator", rule(&["get"], "", &["secrets"])).await;
    let check = "authorizer.requestResource.check('publish').allowed()";
    enforce(&client, asks(check), json!({})).await;
    let response = try_create_as_alice(&client).await;
    assert!(
        response.text.contains("the roles say no"),
        "{}",
        response.text
    );
    // A role that is granted later counts at once.
    let more = rule(&["publish"], "", &["configmaps"]);
    grant_in_default(&client, "publisher", json!([more])).await;
    let response = try_create_as_alice(&client).await;
    assert_eq!(response.code, 201, "{}", response.text);
}

#[tokio::test]
async fn a_check_is_about_one_namespace_and_name() {
    let client = TestClient::new().await;
    let mut named = rule(&["use"], "example.com", &["quotas"]);
    named["resourceNames"] = json!(["small"]);
    grant(&client, "creator", named).await;
    let quota = "authorizer.group('example.com').resource('quotas')";
    let expression = format!(
        "object.metadata.name == 'probe' ? false : {quota}.namespace('default').name('small').check('use').allowed() && !{quota}.namespace('other').name('small').check('use').allowed()"
    );
    let large = format!("!{quota}.namespace('default').name('large').check('use').allowed()");
    let anyone = format!("!{quota}.namespace('default').check('use').allowed()");
    let spec = json!({"validations": [
        {"expression": expression, "message": "not in its namespace"},
        {"expression": large, "message": "under another name"},
        {"expression": anyone, "message": "without a name"},
    ]});
    enforce(&client, spec, json!({})).await;
    let response = try_create_as_alice(&client).await;
    assert_eq!(response.code, 201, "{}", response.text);
}

#[tokio::test]
async fn a_service_account_is_asked_about_instead_of_the_user() {
    let client = TestClient::new().await;
    grant(&client, "creator", rule(&["get"], "", &["secrets"])).await;
    let binding = json!({
        "metadata": {"name": "of-accounts"},
        "roleRef": {"kind": "Role", "name": "creator"},
        "subjects": [
            {"kind": "ServiceAccount", "name": "builder", "namespace": "default"},
            {"kind": "Group", "name": "system:serviceaccounts:other"},
        ],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    assert_eq!(client.post(path, &binding).await.code, 201);
    let can = |account: &str| {
        format!(
            "authorizer.serviceAccount({account}).group('').resource('secrets').namespace('default').check('get').allowed()"
        )
    };
    let spec = json!({"validations": [
        {"expression": can("'default', 'builder'"), "message": "builder"},
        {"expression": can("'other', 'any'"), "message": "a group"},
        {"expression": format!("!{}", can("'default', 'nobody'")), "message": "nobody"},
    ]});
    enforce(&client, spec, json!({})).await;
    let response = try_create_as_alice(&client).await;
    assert_eq!(response.code, 201, "{}", response.text);
}

#[tokio::test]
async fn an_impersonated_user_is_asked_about() {
    let client = TestClient::new().await;
    grant(&client, "creator", rule(&["get"], "", &["secrets"])).await;
    let check = "authorizer.path('/reports').check('get').allowed()";
    enforce(&client, asks(check), json!({})).await;
    let as_alice = [("impersonate-user", "alice")];
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    let body = config_map("c");
    // The administrator may do everything, but asks as alice.
    let response = client
        .send_as(&admin(), "POST", &path, &as_alice, &body)
        .await;
    assert!(
        response.text.contains("the roles say no"),
        "{}",
        response.text
    );
    let response = client.send_as(&admin(), "POST", &path, &[], &body).await;
    assert_eq!(response.code, 201, "{}", response.text);
}
