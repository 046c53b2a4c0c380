//! ValidatingAdmissionPolicies and their bindings.

mod authorizer;
mod selection;

use rdd_apiserver::{ApiServer, ApiServerOptions};
use rdd_testkit::eventually;
use serde_json::{Value, json};

use crate::client::{
    APPLY, ApiResponse, CONFIG_MAPS, MERGE, STRATEGIC, TestClient, WIDGETS, config_map,
    sized_version, widget,
};

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
const DENIED: &str = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: ";

/// Returns a rule about one resource in version v1.
fn rule(group: &str, resource: &str, operations: &[&str]) -> Value {
    json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": [resource]})
}

/// Returns a policy on the creates and updates of config maps that refuses the
/// name `probe`, and what `spec` adds.
fn policy(spec: Value) -> Value {
    let mut policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule("", "configmaps", &["CREATE", "UPDATE"])]},
            "validations": [{"expression": "object == null || object.metadata.name != 'probe'", "message": "it is a probe"}],
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        match (&mut policy["spec"][field], value) {
            (Value::Array(list), Value::Array(added)) => list.extend(added.iter().cloned()),
            (target, value) => *target = value.clone(),
        }
    }
    policy
}

fn binding(spec: Value) -> Value {
    let mut binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "p"},
        "spec": {"policyName": "p", "validationActions": ["Deny"]},
    });
    for (field, value) in spec.as_object().unwrap() {
        binding["spec"][field] = value.clone();
    }
    binding
}

fn is_probed(response: &ApiResponse) -> bool {
    response.text.contains("it is a probe")
        || response
            .warnings()
            .iter()
            .any(|text| text.contains("it is a probe"))
}

/// Creates a policy and its binding, and waits until they are in force.
async fn enforce(client: &TestClient, policy_spec: Value, binding_spec: Value) {
    for (path, body) in [
        (POLICIES, policy(policy_spec)),
        (BINDINGS, binding(binding_spec)),
    ] {
        let response = client.post(path, &body).await;
        assert_eq!(response.code, 201, "{}", response.text);
    }
    wait_until_enforced(client, true).await;
}

async fn wait_until_enforced(client: &TestClient, expected: bool) {
    eventually("the policy is in force or gone", || async {
        let response = try_config_map(client, "probe", json!({})).await;
        if is_probed(&response) == expected {
            Ok(())
        } else {
            Err(response.text)
        }
    })
    .await;
}

/// Creates a config map as a dry run.
async fn try_config_map(client: &TestClient, name: &str, data: Value) -> ApiResponse {
    let mut object = config_map(name);
    object["data"] = data;
    client
        .post(&format!("{CONFIG_MAPS}?dryRun=All"), &object)
        .await
}

#[track_caller]
fn assert_denied(response: &ApiResponse, code: u16, reason: &str, why: &str) {
    assert_eq!(response.reason(), (code, reason), "{}", response.text);
    let message = response.body["message"].as_str().unwrap();
    assert!(
        message.ends_with(&format!(" is forbidden: {DENIED}{why}")),
        "{message}"
    );
    assert_eq!(
        response.body["details"]["causes"],
        json!([{"message": format!("{DENIED}{why}")}])
    );
}

#[tokio::test]
async fn a_policy_denies_every_kind_of_write_that_fails_a_validation() {
    let client = TestClient::new().await;
    let validations = json!([
        {"expression": "object.data.k != 'bad'", "messageExpression": "'k is ' + object.data.k"},
        {"expression": "object.data.k != 'no'", "message": "no", "reason": "Forbidden"},
        {"expression": "object.data.k != 'big'", "reason": "RequestEntityTooLarge"},
    ]);
    enforce(&client, json!({"validations": validations}), json!({})).await;
    let path = format!("{CONFIG_MAPS}/x");
    assert_eq!(client.post(CONFIG_MAPS, &config_map("x")).await.code, 201);
    let mut bad = config_map("x");
    bad["data"]["k"] = "bad".into();
    let change = json!({"data": {"k": "bad"}});
    for response in [
        try_config_map(&client, "y", json!({"k": "bad"})).await,
        client.put(&path, &bad).await,
        client.patch(&path, MERGE, &change).await,
        client.patch(&path, STRATEGIC, &change).await,
        client
            .patch(&format!("{path}?fieldManager=m&force=true"), APPLY, &bad)
            .await,
        client
            .patch(
                &format!("{CONFIG_MAPS}/x?fieldManager=m&dryRun=All&force=true"),
                APPLY,
                &bad,
            )
            .await,
    ] {
        assert_denied(&response, 422, "Invalid", "k is bad");
    }
    let response = try_config_map(&client, "y", json!({"k": "no"})).await;
    assert_denied(&response, 403, "Forbidden", "no");
    let response = try_config_map(&client, "y", json!({"k": "big"})).await;
    let why = "failed expression: object.data.k != 'big'";
    assert_denied(&response, 413, "RequestEntityTooLarge", why);
    assert_eq!(client.get(&path).await.body["data"]["k"], "1");
    // An object that is invalid is refused first, whatever the policies say.
    let response = try_config_map(&client, "No_Name", json!({"k": "no"})).await;
    assert!(
        response.body["message"]
            .as_str()
            .unwrap()
            .contains("is invalid")
    );
}

#[tokio::test]
async fn a_deletion_is_validated_with_the_old_object_only() {
    let client = TestClient::new().await;
    let spec = json!({
        "matchConstraints": {"resourceRules": [rule("", "configmaps", &["*"])]},
        "validations": [{"expression": "request.operation != 'DELETE' || object == null && oldObject.data.k != 'kept'", "message": "kept"}],
    });
    enforce(&client, spec, json!({})).await;
    for (name, k) in [("kept", "kept"), ("x", "1")] {
        let mut object = config_map(name);
        object["data"]["k"] = k.into();
        assert_eq!(client.post(CONFIG_MAPS, &object).await.code, 201);
    }
    let response = client.delete(&format!("{CONFIG_MAPS}/kept")).await;
    assert_denied(&response, 422, "Invalid", "kept");
    assert_eq!(client.delete(&format!("{CONFIG_MAPS}/x")).await.code, 200);
    assert_eq!(client.get(CONFIG_MAPS).await.names(), ["kept"]);
}

#[tokio::test]
async fn policies_do_not_decide_about_policies_and_bindings() {
    let client = TestClient::new().await;
    let everything = json!({"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]});
    let spec = json!({
        "matchConstraints": {"resourceRules": [everything]},
        "validations": [{"expression": "false", "message": "nothing"}],
    });
    enforce(&client, spec, json!({})).await;
    let response = try_config_map(&client, "x", json!({})).await;
    assert_denied(&response, 422, "Invalid", "nothing");
    assert_eq!(client.delete(&format!("{BINDINGS}/p")).await.code, 200);
    assert_eq!(client.delete(&format!("{POLICIES}/p")).await.code, 200);
    wait_until_enforced(&client, false).await;
}

#[tokio::test]
async fn a_binding_that_warns_lets_the_write_pass() {
    let client = TestClient::new().await;
    let spec = json!({"validations": [{"expression": "false", "message": "do not"}]});
    enforce(
        &client,
        spec,
        json!({"validationActions": ["Warn", "Audit"]}),
    )
    .await;
    let response = try_config_map(&client, "x", json!({})).await;
    assert_eq!(response.code, 201, "{}", response.text);
    let warning =
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': do not\"";
    assert_eq!(response.warnings(), [warning]);
}

#[tokio::test]
async fn an_error_denies_the_write_unless_the_policy_ignores_errors() {
    for (failure_policy, code) in [("Fail", 422), ("Ignore", 201)] {
        let client = TestClient::new().await;
        let spec = json!({
            "failurePolicy": failure_policy,
            "variables": [{"name": "n", "expression": "int(object.data.k)"}],
            "validations": [{"expression": "variables.n < 3", "message": "too much"}],
        });
        enforce(&client, spec, json!({})).await;
        let response = try_config_map(&client, "x", json!({"k": "text"})).await;
        assert_eq!(response.code, code, "{}", response.text);
        if code == 422 {
            let why = "expression 'variables.n < 3' resulted in error: composited variable \"n\" fails to evaluate: type conversion error from 'string' to 'int'";
            assert_denied(&response, 422, "Invalid", why);
        }
        // A failed validation is no error.
        let response = try_config_map(&client, "x", json!({"k": "3"})).await;
        assert_denied(&response, 422, "Invalid", "too much");
    }
}

#[tokio::test]
async fn match_conditions_decide_before_the_validations() {
    let client = TestClient::new().await;
    let spec = json!({
        "matchConditions": [
            {"name": "broken", "expression": "object.data.broken == '1' || object.metadata.name == 'probe'"},
            {"name": "exempt", "expression": "object.metadata.name != 'exempt'"},
        ],
        "validations": [{"expression": "false", "message": "no"}],
    });
    enforce(&client, spec, json!({})).await;
    // One condition that is false is enough, even if another one fails.
    assert_eq!(try_config_map(&client, "exempt", json!({})).await.code, 201);
    let response = try_config_map(&client, "x", json!({})).await;
    let why = "expression 'object.data.broken == '1' || object.metadata.name == 'probe'' resulted in error: no such key: data";
    assert_denied(&response, 422, "Invalid", why);
    let response = try_config_map(&client, "x", json!({"broken": "1"})).await;
    assert_denied(&response, 422, "Invalid", "no");
}

#[tokio::test]
async fn an_expression_that_takes_too_many_steps_is_an_error() {
    let client = TestClient::new().await;
    let expression = "object.data.all(a, object.data.all(b, object.data.all(c, a + b + c != '')))";
    let spec =
        json!({"validations": [{"expression": format!("!has(object.data) || {expression}")}]});
    enforce(&client, spec, json!({})).await;
    let data: serde_json::Map<String, Value> = (0..200)
        .map(|index| (format!("key{index}"), "".into()))
        .collect();
    let response = try_config_map(&client, "x", data.into()).await;
    let message = response.body["message"].as_str().unwrap();
    assert!(
        message.ends_with("resulted in error: operation cancelled: actual cost limit exceeded"),
        "{message}"
    );
}

#[tokio::test]
async fn custom_resources_and_their_status_are_validated() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let spec = json!({
        "matchConstraints": {"resourceRules": [rule("example.com", "widgets", &["CREATE", "UPDATE"]), rule("example.com", "widgets/status", &["UPDATE"]), rule("", "configmaps", &["CREATE"])]},
        "validations": [
            {"expression": "object.kind != 'Widget' || object.spec.size < 5", "message": "too big"},
            {"expression": "request.?subResource.orValue('') != 'status' || object.status.phase != 'Bad'", "message": "bad phase"},
            {"expression": "object.metadata.?labels['team'].orValue('') != 'bad'", "message": "bad team"},
            {"expression": "namespaceObject.metadata.name == 'default'", "message": "bad namespace"},
        ],
    });
    enforce(&client, spec, json!({})).await;
    let response = client.post(WIDGETS, &widget("a", json!({"size": 9}))).await;
    assert_denied(&response, 422, "Invalid", "too big");
    let mut labeled = widget("a", json!({"size": 1}));
    labeled["metadata"]["labels"] = json!({"team": "bad"});
    assert_denied(
        &client.post(WIDGETS, &labeled).await,
        422,
        "Invalid",
        "bad team",
    );
    assert_eq!(
        client
            .post(WIDGETS, &widget("a", json!({"size": 1})))
            .await
            .code,
        201
    );
    let status = format!("{WIDGETS}/a/status");
    let response = client
        .patch(&status, MERGE, &json!({"status": {"phase": "Bad"}}))
        .await;
    assert_denied(&response, 422, "Invalid", "bad phase");
    let response = client
        .patch(&status, MERGE, &json!({"status": {"phase": "Good"}}))
        .await;
    assert_eq!(response.code, 200, "{}", response.text);
}

#[tokio::test]
async fn type_checking_warns_about_fields_that_a_matched_type_does_not_have() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let rules = [
        rule("", "configmaps", &["CREATE"]),
        rule("example.com", "widgets", &["CREATE"]),
    ];
    let spec = json!({
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "object.spec.width < 5"}, {"expression": "object.metadata.name != ''"}],
    });
    client.post(POLICIES, &policy(spec)).await;
    let response = client
        .wait_until(&format!("{POLICIES}/p"), |response| {
            response.body["status"]["observedGeneration"] == 1
        })
        .await;
    let warnings = response.body["status"]["typeChecking"]["expressionWarnings"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["fieldRef"], "spec.validations[1].expression");
    let text = warnings[0]["warning"].as_str().unwrap();
    assert!(
        text.contains(
            "/v1, Kind=ConfigMap: compilation failed: ERROR: <input>:1:7: undefined field 'spec'"
        ),
        "{text}"
    );
    assert!(text.contains("example.com/v1, Kind=Widget: compilation failed: ERROR: <input>:1:12: undefined field 'width'"), "{text}");
}

#[tokio::test]
async fn policies_are_in_force_from_the_first_request_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = || ApiServerOptions::file(dir.path().join("api.db"));
    let client = TestClient(ApiServer::open(options()).await.unwrap());
    enforce(&client, json!({}), json!({})).await;
    client.0.close().await;
    let client = TestClient(ApiServer::open(options()).await.unwrap());
    assert_denied(
        &try_config_map(&client, "probe", json!({})).await,
        422,
        "Invalid",
        "it is a probe",
    );
    client.0.close().await;
}
