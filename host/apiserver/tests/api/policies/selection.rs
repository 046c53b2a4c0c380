//! What policies and bindings match, and the parameters that they select.

use rdd_testkit::eventually;
use serde_json::{Value, json};

use super::{BINDINGS, POLICIES, assert_denied, binding, enforce, policy, rule, try_config_map};
use crate::client::{CONFIG_MAPS, TestClient, config_map};

const CORE_EVENTS: &str = "/api/v1/namespaces/default/events";

#[tokio::test]
async fn a_rule_matches_a_resource_through_its_other_group_unless_it_is_exact() {
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}, "reason": "Bad",
    });
    for (match_policy, code) in [("Equivalent", 422), ("Exact", 201)] {
        let client = TestClient::new().await;
        let spec = json!({
            "matchConstraints": {"matchPolicy": match_policy, "resourceRules": [
                rule("events.k8s.io", "events", &["CREATE"]), rule("", "configmaps", &["CREATE"])]},
            "validations": [{"expression": "request.kind.kind != 'Event' || object.regarding.name != 'a' || request.requestKind.group != ''", "message": "no events"}],
        });
        enforce(&client, spec, json!({})).await;
        let response = client.post(CORE_EVENTS, &event).await;
        assert_eq!(response.code, code, "{}", response.text);
    }
}

#[tokio::test]
async fn labels_of_the_namespace_and_of_either_object_select_a_policy() {
    let client = TestClient::new().await;
    let constraints = json!({
        "resourceRules": [rule("", "configmaps", &["*"])],
        "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]},
        "objectSelector": {"matchLabels": {"strict": "yes"}},
    });
    for team in ["a", "b"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team, "labels": {"team": team}}});
        assert_eq!(
            client.post("/api/v1/namespaces", &namespace).await.code,
            201
        );
    }
    let labeled = |labels: Value| {
        let mut object = config_map("x");
        object["metadata"]["labels"] = labels;
        object
    };
    let (strict, plain) = (labeled(json!({"strict": "yes"})), labeled(json!({})));
    let path = |namespace: &str| format!("/api/v1/namespaces/{namespace}/configmaps");
    assert_eq!(client.post(&path("a"), &strict).await.code, 201);
    let spec = json!({"matchConstraints": constraints, "validations": [{"expression": "false", "message": "no"}]});
    client.post(POLICIES, &policy(spec)).await;
    client.post(BINDINGS, &binding(json!({}))).await;
    let dry = |namespace: &str| format!("{}?dryRun=All", path(namespace));
    let mut other = strict.clone();
    other["metadata"]["name"] = "y".into();
    eventually("the policy is in force", || async {
        let response = client.post(&dry("a"), &other).await;
        if response.code == 422 {
            Ok(())
        } else {
            Err(response.text)
        }
    })
    .await;
    // The old object still has the label.
    assert_eq!(
        client.put(&format!("{}/x", path("a")), &plain).await.code,
        422
    );
    assert_eq!(client.post(&dry("b"), &other).await.code, 201);
    let mut unlabeled = plain.clone();
    unlabeled["metadata"]["name"] = "y".into();
    assert_eq!(client.post(&dry("a"), &unlabeled).await.code, 201);
}

#[tokio::test]
async fn a_binding_restricts_what_its_policy_matches() {
    let client = TestClient::new().await;
    let excluded = json!([{"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "resourceNames": ["exempt"]}]);
    let spec = json!({"validations": [{"expression": "false", "message": "no"}]});
    enforce(
        &client,
        spec,
        json!({"matchResources": {"excludeResourceRules": excluded}}),
    )
    .await;
    assert_eq!(try_config_map(&client, "exempt", json!({})).await.code, 201);
    assert_denied(
        &try_config_map(&client, "x", json!({})).await,
        422,
        "Invalid",
        "no",
    );
}

#[tokio::test]
async fn a_policy_is_evaluated_with_each_object_of_parameters_that_labels_select() {
    let client = TestClient::new().await;
    for (name, max) in [("low", "2"), ("high", "5")] {
        let mut params = config_map(name);
        params["metadata"]["labels"] = json!({"params": "yes"});
        params["data"] = json!({"max": max});
        client.post(CONFIG_MAPS, &params).await;
    }
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "!has(object.data) || object.data.size() <= int(params.data.max)", "messageExpression": "'more than ' + params.data.max"}],
    });
    let selector =
        json!({"selector": {"matchLabels": {"params": "yes"}}, "parameterNotFoundAction": "Deny"});
    enforce(&client, spec, json!({"paramRef": selector})).await;
    let three = json!({"a": "1", "b": "2", "c": "3"});
    let response = try_config_map(&client, "x", three.clone()).await;
    assert_denied(&response, 422, "Invalid", "more than 2");
    client.delete(&format!("{CONFIG_MAPS}/low")).await;
    assert_eq!(try_config_map(&client, "x", three.clone()).await.code, 201);
    client.delete(&format!("{CONFIG_MAPS}/high")).await;
    let why = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_denied(
        &try_config_map(&client, "x", three).await,
        422,
        "Invalid",
        why,
    );
}

#[tokio::test]
async fn a_policy_whose_kind_of_parameters_is_not_served_denies() {
    let client = TestClient::new().await;
    let spec = json!({"paramKind": {"apiVersion": "none.example/v1", "kind": "None"}});
    client.post(POLICIES, &policy(spec)).await;
    client.post(BINDINGS, &binding(json!({}))).await;
    let expected = "configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'none.example/v1, Kind=None'";
    eventually("the policy denies", || async {
        let response = try_config_map(&client, "x", json!({})).await;
        if response.body["message"] == expected {
            Ok(())
        } else {
            Err(response.text)
        }
    })
    .await;
}
