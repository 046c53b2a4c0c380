//! Answers that differed from kube-apiserver's until `scripts/oracle` compared them.

use serde_json::{Value, json};

use crate::client::{
    APPLY, CONFIG_MAPS, DEFINITIONS, JSON, MERGE, TestClient, WIDGETS, sized_version, widget,
    widget_definition,
};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";

#[tokio::test]
async fn a_creator_does_not_own_what_every_object_has() {
    let client = TestClient::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let made = client.post(LEASES, &lease).await;
    assert_eq!(
        made.body["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:holderIdentity": {}}})
    );
    let role = client
        .post(ROLES, &json!({"metadata": {"name": "r"}}))
        .await;
    assert_eq!(role.body["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn a_creator_does_not_own_the_finalizer_of_a_namespace() {
    let client = TestClient::new().await;
    let namespaces = "/api/v1/namespaces";
    let made = client
        .post(namespaces, &json!({"metadata": {"name": "one"}}))
        .await;
    assert_eq!(made.body["spec"]["finalizers"], json!(["kubernetes"]));
    let fields = &made.body["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields.get("f:spec"), None, "{fields}");
    let chosen = json!({"metadata": {"name": "two"}, "spec": {"finalizers": ["kubernetes"]}});
    let made = client.post(namespaces, &chosen).await;
    assert_eq!(
        made.body["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"],
        json!({"f:finalizers": {}})
    );
}

#[tokio::test]
async fn an_empty_list_of_rules_is_none() {
    let client = TestClient::new().await;
    let role = |rules: Value| json!({"metadata": {"name": "r"}, "rules": rules});
    let made = client.post(ROLES, &role(json!([]))).await;
    assert_eq!(made.body["rules"], Value::Null);
    let path = format!("{ROLES}/r");
    for rules in [json!([]), Value::Null] {
        let written = client.put(&path, &role(rules)).await;
        assert_eq!(
            written.body["metadata"]["resourceVersion"],
            made.body["metadata"]["resourceVersion"]
        );
    }
}

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
async fn a_deleted_collection_is_returned_as_it_was_listed() {
    let client = TestClient::new().await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/a"]}});
    let made = [
        client.post(CONFIG_MAPS, &held).await,
        client
            .post(CONFIG_MAPS, &json!({"metadata": {"name": "plain"}}))
            .await,
    ];
    let deleted = client.delete(CONFIG_MAPS).await;
    for (index, made) in made.iter().enumerate() {
        assert_eq!(
            deleted.body["items"][index]["metadata"],
            made.body["metadata"]
        );
    }
    let left = client.get(CONFIG_MAPS).await;
    let left = left.body["items"].as_array().map(Vec::len);
    assert_eq!(left, Some(1), "the finalizer holds one");
}

#[tokio::test]
async fn the_first_apply_leaves_what_every_object_has_without_an_owner() {
    let client = TestClient::new().await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}});
    let path = format!("{ROLES}/r?fieldManager=one");
    let made = client.patch(&path, APPLY, &role).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let same = client.patch(&path, APPLY, &role).await;
    assert_eq!(
        same.body["metadata"]["resourceVersion"], made.body["metadata"]["resourceVersion"],
        "nothing has changed"
    );
    let mut labeled = role.clone();
    labeled["metadata"]["labels"] = json!({"a": "b"});
    let second = client.patch(&path, APPLY, &labeled).await;
    let managers = second.body["metadata"]["managedFields"].as_array();
    assert_eq!(managers.map(Vec::len), Some(1), "{}", second.text);
}

#[tokio::test]
async fn namespaces_have_no_label_of_their_namespace() {
    let client = TestClient::new().await;
    let path = "/api/v1/namespaces?fieldSelector=metadata.namespace%3Dx";
    let refused = client.get(path).await;
    assert_eq!(refused.code, 400);
    assert_eq!(
        refused.body["message"],
        "field label not supported: metadata.namespace"
    );
}

#[tokio::test]
async fn an_applied_null_is_not_lost() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let applied = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": null}});
    let refused = client
        .patch(&format!("{WIDGETS}/w?fieldManager=one"), APPLY, &applied)
        .await;
    assert_eq!(refused.reason(), (422, "Invalid"), "{}", refused.text);
    assert!(
        refused
            .text
            .contains("spec.size in body must be of type integer"),
        "{}",
        refused.text
    );
    // A create removes it.
    let made = client.post(WIDGETS, &applied).await;
    assert_eq!(made.code, 201);
    assert_eq!(made.body["spec"].get("size"), None, "{}", made.text);
}

#[tokio::test]
async fn an_update_that_ends_a_deletion_is_not_seen_by_watchers() {
    let client = TestClient::new().await;
    let object = |finalizers: &[&str], value: &str| json!({"metadata": {"name": "a", "finalizers": finalizers}, "data": {"k": value}});
    let held = object(&["example.com/a"], "before");
    client.post(CONFIG_MAPS, &held).await;
    let path = format!("{CONFIG_MAPS}/a");
    client.delete(&path).await;
    let mut watch = client.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    assert_eq!(watch.next_type_and_name().await.0, "ADDED");
    let last = client.put(&path, &object(&[], "after")).await;
    assert_eq!(last.body["data"]["k"], "after", "{}", last.text);
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["data"]["k"], "before");
    assert_eq!(
        event["object"]["metadata"]["finalizers"],
        held["metadata"]["finalizers"]
    );
}

#[tokio::test]
async fn an_update_of_a_lease_needs_its_version() {
    let client = TestClient::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    let path = format!("{LEASES}/l");
    let made = client.put(&path, &lease).await;
    assert_eq!(made.code, 201, "{}", made.text);
    let refused = client.put(&path, &lease).await;
    assert_eq!(refused.reason(), (422, "Invalid"));
    assert_eq!(
        refused.body["message"],
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    assert_eq!(client.put(&path, &made.body).await.code, 200);
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
async fn an_update_creates_a_role() {
    let client = TestClient::new().await;
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
    let path = format!("{ROLES}/r");
    assert_eq!(client.put(&path, &role).await.code, 201);
    assert_eq!(client.put(&path, &role).await.code, 200);
}

#[tokio::test]
async fn an_apply_with_the_uid_of_nothing_is_a_conflict() {
    let client = TestClient::new().await;
    let uid = "11111111-1111-1111-1111-111111111111";
    let applied =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": uid}});
    let path = format!("{CONFIG_MAPS}/a?fieldManager=one");
    let refused = client.patch(&path, APPLY, &applied).await;
    assert_eq!(refused.reason(), (409, "Conflict"));
    assert_eq!(
        refused.body["message"],
        format!(
            "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid {uid}, and no existing object was found"
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
async fn a_deprecated_version_names_its_replacement() {
    let client = TestClient::new().await;
    let old = |mut version: Value, name: &str| {
        version["name"] = name.into();
        version["served"] = true.into();
        version["storage"] = false.into();
        version["deprecated"] = true.into();
        version
    };
    let mut definition = widget_definition(sized_version());
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    versions.push(old(sized_version(), "v1beta1"));
    versions.push(old(sized_version(), "v2"));
    let made = client.post(DEFINITIONS, &definition).await;
    assert_eq!(made.code, 201, "{}", made.text);
    for (version, remedy) in [("v1beta1", "; use example.com/v1 Widget"), ("v2", "")] {
        let path = WIDGETS.replace("/v1/", &format!("/{version}/"));
        let listed = client
            .wait_until(&path, |response| response.code == 200)
            .await;
        assert_eq!(
            listed.warnings(),
            [format!(
                "299 - \"example.com/{version} Widget is deprecated{remedy}\""
            )]
        );
    }
}

#[tokio::test]
async fn names_that_are_not_taken_are_accepted() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let mut other = widget_definition(sized_version());
    other["metadata"]["name"] = "others.example.com".into();
    other["spec"]["names"] = json!({"plural": "others", "kind": "Widget", "categories": ["all"]});
    client.post(DEFINITIONS, &other).await;
    let path = format!("{DEFINITIONS}/others.example.com");
    let status = client
        .wait_until(&path, |response| {
            response.body.pointer("/status/conditions/0/status") == Some(&json!("False"))
        })
        .await
        .body["status"]
        .take();
    assert_eq!(status["conditions"][0]["reason"], "ListKindConflict");
    assert_eq!(
        status["conditions"][0]["message"],
        "\"WidgetList\" is already in use"
    );
    assert_eq!(
        status["acceptedNames"],
        json!({"plural": "others", "kind": "", "categories": ["all"]})
    );
}

#[tokio::test]
async fn an_update_of_a_definition_does_not_check_its_name_again() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let refused = client
        .patch(
            &path,
            MERGE,
            &json!({"spec": {"group": "other.example.com"}}),
        )
        .await;
    let fields: Vec<&Value> = refused.body["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(fields, ["spec.group"]);
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
