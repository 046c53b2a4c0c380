//! Bodies that cannot be decoded or are not valid, and the words for it.

use serde_json::{Value, json};

use super::{LEASES, ROLES};
use crate::client::{APPLY, CONFIG_MAPS, JSON, MERGE, TestClient, WIDGETS, widget};

#[tokio::test]
async fn finalizers_of_core_kinds_and_roles_have_a_domain() {
    let client = TestClient::new().await;
    let object = |finalizer: &str| json!({"metadata": {"name": "a", "finalizers": ["example.com/a", finalizer]}});
    for (collection, kind) in [
        (CONFIG_MAPS, "ConfigMap"),
        (ROLES, "Role.rbac.authorization.k8s.io"),
    ] {
        let refused = client.post(collection, &object("hold")).await;
        assert_eq!(refused.reason(), (422, "Invalid"));
        assert_eq!(
            refused.body["message"],
            format!(
                "{kind} \"a\" is invalid: metadata.finalizers[1]: Invalid value: \"hold\": name is neither a standard finalizer name nor is it fully qualified"
            )
        );
        assert_eq!(client.post(collection, &object("orphan")).await.code, 201);
        let path = format!("{collection}/a");
        assert_eq!(client.put(&path, &object("hold")).await.code, 422);
    }
    assert_eq!(client.post(LEASES, &object("hold")).await.code, 201);
}

#[tokio::test]
async fn owner_references_that_are_not_valid_are_named_without_their_index() {
    let client = TestClient::new().await;
    let owner = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "name": "x", "uid": "u", "controller": true});
    let object = json!({"metadata": {"name": "a", "ownerReferences": [owner("a/b/c", ""), owner("v1", "X")]}});
    let refused = client.post(CONFIG_MAPS, &object).await;
    assert_eq!(refused.reason(), (422, "Invalid"), "{}", refused.text);
    let causes = refused.body["details"]["causes"].as_array().unwrap();
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let fields: Vec<String> = causes.iter().map(|cause| text(cause, "field")).collect();
    let path = "metadata.ownerReferences";
    assert_eq!(
        fields,
        [
            format!("{path}.apiVersion"),
            format!("{path}.kind"),
            path.to_owned()
        ]
    );
    let last = text(&causes[2], "message");
    assert!(last.ends_with("references for /x and X/x"), "{last}");
}

#[tokio::test]
async fn a_body_of_an_unknown_kind_or_version_says_so() {
    let client = TestClient::new().await;
    for (object, expected) in [
        (
            json!({"kind": "Nothing"}),
            "Nothing in version \"v1\" cannot be handled as a ConfigMap: no kind \"Nothing\" is registered for version \"v1\" in scheme \"rdd-apiserver\"",
        ),
        (
            json!({"apiVersion": "a.b/v2"}),
            "ConfigMap in version \"v2\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"a.b/v2\" in scheme \"rdd-apiserver\"",
        ),
    ] {
        let refused = client.post(CONFIG_MAPS, &object).await;
        assert_eq!(refused.reason(), (400, "BadRequest"));
        assert_eq!(refused.body["message"], expected);
    }
}

#[tokio::test]
async fn bytes_that_are_no_base64_are_named_in_an_apply() {
    let client = TestClient::new().await;
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "binaryData": {"b": "no base64"}});
    let path = format!("{CONFIG_MAPS}/a?fieldManager=one");
    let refused = client.patch(&path, APPLY, &applied).await;
    let message = refused.body["message"].as_str().unwrap_or_default();
    assert!(
        message.ends_with(": error decoding from json: illegal base64 data at input byte 2"),
        "{message}"
    );
}

#[tokio::test]
async fn a_time_that_is_not_valid_is_reported_before_another_type() {
    let client = TestClient::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": "15", "renewTime": "2026-01-02T03:04:05Z"}});
    let refused = client.post(LEASES, &lease).await;
    let message = refused.body["message"].as_str().unwrap_or_default();
    assert!(
        message.ends_with("cannot parse \"Z\" as \".000000\""),
        "{message}"
    );
}

#[tokio::test]
async fn messages_about_a_status_have_paths_within_it() {
    let client = TestClient::new().await;
    let version = json!({
        "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        }}},
    });
    client.define_widgets(version).await;
    client.post(WIDGETS, &widget("w", json!({}))).await;
    let patch = json!({"status": {"ready": "7"}});
    let refused = client
        .patch(&format!("{WIDGETS}/w/status"), MERGE, &patch)
        .await;
    assert_eq!(refused.reason(), (422, "Invalid"), "{}", refused.text);
    let cause = &refused.body["details"]["causes"][0];
    assert_eq!(
        (&cause["field"], &cause["message"]),
        (
            &json!("status.ready"),
            &json!("Invalid value: \"string\": ready in body must be of type boolean: \"string\"")
        )
    );
}

#[tokio::test]
async fn messages_about_applied_core_kinds_have_their_empty_group() {
    let client = TestClient::new().await;
    let applied =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "nothing": 1});
    let path = format!("{CONFIG_MAPS}/a?fieldManager=one");
    let refused = client.patch(&path, APPLY, &applied).await;
    assert_eq!(
        refused.body["message"],
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .nothing: field not declared in schema"
    );
}

#[tokio::test]
async fn times_with_microseconds_have_six_digits() {
    let client = TestClient::new().await;
    let lease = |time: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {"renewTime": time}});
    let prefix = "Lease in version \"v1\" cannot be handled as a Lease: ";
    for (time, rest, element) in [
        ("yesterday", "yesterday", "2006"),
        ("2026-01-02T03:04:05Z", "Z", ".000000"),
        ("2026-01-02T03:04:05.123Z", ".123Z", ".000000"),
        ("2026-01-02T03:04:05.1234567Z", "7Z", "Z07:00"),
    ] {
        let why = format!(
            "parsing time {time:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse {rest:?} as {element:?}"
        );
        let refused = client.post(LEASES, &lease(time)).await;
        assert_eq!(refused.reason(), (400, "BadRequest"), "{time}");
        assert_eq!(refused.body["message"], format!("{prefix}{why}"));
        let path = format!("{LEASES}/l?fieldManager=one");
        let refused = client.patch(&path, APPLY, &lease(time)).await;
        let kind = "coordination.k8s.io/v1, Kind=Lease";
        assert_eq!(
            refused.body["message"],
            format!(
                "failed to convert new object (/l; {kind}) to proper version: unable to convert unstructured object to {kind}: {why}"
            )
        );
    }
    let made = client
        .post(LEASES, &lease("2026-01-02T03:04:05.123456+01:00"))
        .await;
    assert_eq!(
        made.body["spec"]["renewTime"],
        "2026-01-02T02:04:05.123456Z"
    );
}

#[tokio::test]
async fn replica_counts_are_validated_without_a_schema_for_them() {
    let client = TestClient::new().await;
    let version = json!({
        "name": "v1", "served": true, "storage": true,
        "subresources": {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    });
    client.define_widgets(version).await;
    for (size, message) in [
        (
            json!(-1),
            "Invalid value: -1: should be a non-negative integer",
        ),
        (
            json!(2_147_483_648_u32),
            "Invalid value: 2147483648: should be less than or equal to 2147483647",
        ),
        (
            json!("x"),
            "Invalid value: 0: .spec.size accessor error: x is of the type string, expected int64",
        ),
    ] {
        let refused = client
            .post(WIDGETS, &widget("w", json!({"size": size})))
            .await;
        assert_eq!(refused.reason(), (422, "Invalid"), "{size}");
        let cause = &refused.body["details"]["causes"][0];
        assert_eq!(
            (&cause["field"], &cause["message"]),
            (&json!(".spec.size"), &json!(message))
        );
    }
    let made = client
        .send(
            "POST",
            WIDGETS,
            &[("content-type", JSON)],
            widget("w", json!({})).to_string(),
        )
        .await;
    assert_eq!(made.code, 201, "{}", made.text);
}
