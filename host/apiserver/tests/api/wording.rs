//! The words of error messages, which are those of kube-apiserver: clients show them,
//! and people search for them.

use serde_json::{Value, json};

use crate::client::{
    ApiResponse, CONFIG_MAPS, DEFINITIONS, JSON, JSON_PATCH, MERGE, STRATEGIC, TestClient, WIDGETS,
    config_map, sized_version, widget,
};

const YAML: &str = "application/yaml";

fn message(response: &ApiResponse) -> &str {
    response.body["message"].as_str().unwrap_or_default()
}

async fn send(
    client: &TestClient,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> ApiResponse {
    client
        .send(method, path, &[("content-type", kind)], body.to_owned())
        .await
}

#[tokio::test]
async fn a_body_that_cannot_be_decoded_is_described_as_by_go() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let widget_kind = "{\"apiVersion\":\"example.com/v1\", \"metadata\":{}}";
    for (path, media_type, body, expected) in [
        (
            CONFIG_MAPS,
            JSON,
            "{",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)",
        ),
        (
            CONFIG_MAPS,
            JSON,
            "",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
        ),
        (
            CONFIG_MAPS,
            JSON,
            "\u{1f}",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '\\x1f' looking for beginning of value (1f)",
        ),
        (
            CONFIG_MAPS,
            JSON,
            "{\"kind\": 1}",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\": 1})",
        ),
        (
            CONFIG_MAPS,
            YAML,
            "a: [",
            "the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: did not find expected node content (613a205b)",
        ),
        (
            CONFIG_MAPS,
            YAML,
            "metadata:\n  name: y\n",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            CONFIG_MAPS,
            JSON,
            "{\"kind\":\"Secret\",\"apiVersion\":\"v1\"}",
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion",
        ),
        (
            WIDGETS,
            JSON,
            widget_kind,
            "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in '{\"apiVersion\":\"example.com/v1\", \"metadata\":{}}' ({\"apiVersion\":\"example.com/v1\" ...)",
        ),
        (
            WIDGETS,
            JSON,
            "{\"kind\":\"Widget\",\"spec\":{\"size\":1e400}}",
            "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number 1e400 into Go value of type float64",
        ),
    ] {
        let response = send(&client, "POST", path, media_type, body).await;
        assert_eq!((response.code, message(&response)), (400, expected));
    }
}

#[tokio::test]
async fn duplicate_yaml_keys_are_one_error_or_several_warnings() {
    let client = TestClient::new().await;
    let body =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: a\n  k: b\n  k: c\n";
    let path = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let response = send(&client, "POST", &path, YAML, body).await;
    assert_eq!(
        message(&response),
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 7: key \"k\" already set in map\n  line 8: key \"k\" already set in map"
    );
    let path = format!("{CONFIG_MAPS}?fieldValidation=Warn");
    let response = send(&client, "POST", &path, YAML, body).await;
    assert_eq!(
        response.warnings(),
        [
            "299 - \"line 7: key \\\"k\\\" already set in map\"",
            "299 - \"line 8: key \\\"k\\\" already set in map\"",
        ]
    );
}

#[tokio::test]
async fn a_malformed_patch_is_described_as_by_go() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    let map = "map[string]interface {}";
    for (media_type, body, expected) in [
        (JSON_PATCH, "[{", "error decoding patch: unexpected end of JSON input".to_owned()),
        (JSON_PATCH, "{}", "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".to_owned()),
        (JSON_PATCH, "[\"x\"]", "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp".to_owned()),
        (JSON_PATCH, "[{\"op\": 1}]", "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string".to_owned()),
        (MERGE, "", "error decoding patch: unexpected end of JSON input".to_owned()),
        (MERGE, "k: v", "error decoding patch: invalid character 'k' looking for beginning of value".to_owned()),
        (MERGE, "[1]", format!("error decoding patch: json: cannot unmarshal array into Go value of type {map}")),
        (MERGE, "null", "Invalid JSON Patch".to_owned()),
        (STRATEGIC, "{", "unexpected end of JSON input".to_owned()),
        (STRATEGIC, "[1]", format!("json: cannot unmarshal array into Go value of type {map}")),
    ] {
        let response = send(&client, "PATCH", &path, media_type, body).await;
        assert_eq!((response.code, message(&response)), (400, &*expected));
    }
    let operations = json!(vec![
        json!({"op": "test", "path": "/kind", "value": "ConfigMap"});
        10_001
    ]);
    let response = client.patch(&path, JSON_PATCH, &operations).await;
    assert_eq!(
        (response.code, message(&response)),
        (
            413,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        )
    );
}

#[tokio::test]
async fn the_reason_of_a_failed_json_patch_is_not_sent() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    for operation in [
        json!({"op": "test", "path": "/data/k", "value": "2"}),
        json!({"op": "remove", "path": "/data/none"}),
        json!({"op": "frobnicate", "path": "/data/k"}),
        json!({"path": "/data/k"}),
        json!({"op": "add"}),
        json!(null),
    ] {
        let response = client.patch(&path, JSON_PATCH, &json!([operation])).await;
        assert_eq!(response.reason(), (422, "Invalid"), "{operation}");
        assert_eq!(
            message(&response),
            "the server rejected our request due to an error in our request"
        );
    }
    let nothing = send(&client, "PATCH", &path, JSON_PATCH, "null").await;
    assert_eq!(nothing.code, 200);
}

/// Returns the first cause's message without the value that it quotes.
fn reason_of_cause(response: &ApiResponse) -> String {
    let cause = &response.body["details"]["causes"][0]["message"];
    let text: &str = cause.as_str().unwrap_or_default();
    text.rsplit_once("\": ")
        .map_or(text, |(_, reason)| reason)
        .to_owned()
}

#[tokio::test]
async fn a_patched_object_of_another_kind_is_decoded_as_that_kind_first() {
    let client = TestClient::new().await;
    let mut base64 = config_map("base64");
    base64["data"]["k"] = "AAAA".into();
    client.post(CONFIG_MAPS, &base64).await;
    let mut plain = config_map("plain");
    plain["data"]["k"] = "!".into();
    client.post(CONFIG_MAPS, &plain).await;
    for (name, patch, expected) in [
        (
            "base64",
            json!({"kind": "Secret"}),
            "converting (v1.Secret) to (core.ConfigMap): unknown conversion",
        ),
        (
            "plain",
            json!({"kind": "Secret"}),
            "illegal base64 data at input byte 0",
        ),
        (
            "plain",
            json!({"apiVersion": "v2"}),
            "no kind \"ConfigMap\" is registered for version \"v2\" in scheme \"rdd-apiserver\"",
        ),
    ] {
        let path = format!("{CONFIG_MAPS}/{name}");
        let response = client.patch(&path, MERGE, &patch).await;
        assert_eq!(response.reason(), (422, "Invalid"), "{patch}");
        assert!(message(&response).ends_with(expected), "{}", response.text);
    }
}

#[tokio::test]
async fn a_strategic_merge_patch_fails_in_the_words_of_the_converter() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    for (patch, expected) in [
        (
            json!({"data": "text"}),
            " \"\" is invalid: patch: Invalid value: \"map[data:text]\": cannot restore map from string",
        ),
        (
            json!({"data": {"x": ["y", 1]}}),
            " \"\" is invalid: patch: Invalid value: \"map[data:map[x:[y 1]]]\": unrecognized type: string",
        ),
        (
            json!({"data": {"x": 1}}),
            " \"\" is invalid: patch: Invalid value: \"map[data:map[x:1]]\": cannot convert int64 to string",
        ),
        (
            json!({"metadata": {"labels": [1]}}),
            " \"\" is invalid: patch: Invalid value: \"map[metadata:map[labels:[1]]]\": cannot restore map from slice",
        ),
    ] {
        let response = client.patch(&path, STRATEGIC, &patch).await;
        assert_eq!((response.code, message(&response)), (422, expected));
    }
    assert_eq!(
        reason_of_cause(&client.patch(&path, STRATEGIC, &json!({"data": 1})).await),
        "cannot restore map from int64"
    );
    let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": "z"});
    let owners = |owner: &Value| json!({"metadata": {"ownerReferences": [owner]}});
    let response = client.patch(&path, STRATEGIC, &owners(&owner)).await;
    assert_eq!(
        (response.code, message(&response)),
        (
            422,
            "ConfigMap \"a\" is invalid: metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"
        )
    );
    let mut complete = owner.clone();
    complete["uid"] =
        client.get("/api/v1/namespaces/default").await.body["metadata"]["uid"].clone();
    let response = client.patch(&path, STRATEGIC, &owners(&complete)).await;
    assert_eq!(response.code, 200, "{}", response.text);
    let response = client.patch(&path, STRATEGIC, &owners(&owner)).await;
    assert_eq!(
        message(&response),
        "map: map[apiVersion:v1 kind:Namespace name:z] does not contain declared merge key: uid"
    );
}

#[tokio::test]
async fn a_different_uid_names_the_key_in_the_storage() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let made = client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let mut other: Value = made.body.clone();
    other["metadata"]["uid"] = "other".into();
    let mut map = config_map("a");
    map["metadata"]["uid"] = "other".into();
    for (path, body, key) in [
        (format!("{CONFIG_MAPS}/a"), &map, "configmaps/default/a"),
        (
            format!("{WIDGETS}/w"),
            &other,
            "example.com/widgets/default/w",
        ),
    ] {
        let response = client.put(&path, body).await;
        assert_eq!(response.reason(), (409, "Conflict"));
        let expected = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: "
        );
        assert!(message(&response).contains(&expected), "{}", response.text);
    }
}

#[tokio::test]
async fn a_name_of_a_terminating_object_is_in_use() {
    let client = TestClient::new().await;
    let mut held = config_map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    client.post(CONFIG_MAPS, &held).await;
    client.delete(&format!("{CONFIG_MAPS}/a")).await;
    let again = client.post(CONFIG_MAPS, &config_map("a")).await;
    assert_eq!(again.reason(), (409, "AlreadyExists"));
    assert_eq!(
        message(&again),
        "object is being deleted: configmaps \"a\" already exists"
    );
}

#[tokio::test]
async fn refused_methods_and_media_types_are_named() {
    let client = TestClient::new().await;
    let mut version = sized_version();
    version["subresources"]["scale"] =
        json!({"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"});
    client.define_widgets(version).await;
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let refused = client.delete(&format!("{WIDGETS}/w/scale")).await;
    assert_eq!(
        message(&refused),
        "delete is not supported on resources of kind \"widgets.example.com\""
    );
    let types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    for path in [CONFIG_MAPS, WIDGETS] {
        let refused = send(&client, "POST", path, "text/plain", "x").await;
        assert_eq!(
            message(&refused),
            format!(
                "the body of the request was in an unknown format - accepted media types include: {types}"
            )
        );
    }
    for (path, expected) in [
        (
            format!("{CONFIG_MAPS}/x"),
            format!("406: Not Acceptable\n\nAvailable representations: {types}"),
        ),
        // The path of a list is that of a watch, too.
        (
            CONFIG_MAPS.to_owned(),
            format!(
                "406: Not Acceptable\n\nAvailable representations: {types}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            ),
        ),
        (
            format!("{CONFIG_MAPS}?watch=1"),
            format!(
                "406: Not Acceptable\n\nAvailable representations: {types}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            ),
        ),
        (
            WIDGETS.to_owned(),
            format!("only the following media types are accepted: {types}"),
        ),
    ] {
        let refused = client
            .send("GET", &path, &[("accept", "text/plain")], "")
            .await;
        assert_eq!((refused.code, message(&refused)), (406, &*expected));
    }
}

#[tokio::test]
async fn an_error_has_the_warnings_of_its_object() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let invalid = client
        .post(WIDGETS, &widget("w", json!({"size": 0, "nope": 1})))
        .await;
    assert_eq!(invalid.reason(), (422, "Invalid"));
    assert_eq!(
        invalid.warnings(),
        ["299 - \"unknown field \\\"spec.nope\\\"\""]
    );
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let patch = json!({"spec": {"size": 0, "nope": 1}});
    let invalid = client.patch(&format!("{WIDGETS}/w"), MERGE, &patch).await;
    assert_eq!(invalid.reason(), (422, "Invalid"));
    assert_eq!(invalid.warnings().len(), 1);
}

#[tokio::test]
async fn the_storage_version_may_be_removed_from_the_stored_versions() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let second = json!([
        {"op": "copy", "from": "/spec/versions/0", "path": "/spec/versions/1"},
        {"op": "replace", "path": "/spec/versions/1/name", "value": "v2"},
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
    ]);
    let changed = client.patch(&path, JSON_PATCH, &second).await;
    assert_eq!(
        changed.body["status"]["storedVersions"],
        json!(["v1", "v2"]),
        "{}",
        changed.text
    );
    let fewer = json!({"status": {"storedVersions": ["v1"]}});
    let response = client.patch(&format!("{path}/status"), MERGE, &fewer).await;
    assert_eq!(
        response.body["status"]["storedVersions"],
        json!(["v1"]),
        "{}",
        response.text
    );
}
