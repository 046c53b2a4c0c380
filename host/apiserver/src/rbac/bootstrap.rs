//! The roles that exist in each cluster, with the names of Kubernetes.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::{Value, json};

use super::{AUTHENTICATED_GROUP, GROUP, MASTERS_GROUP};
use crate::encode::EncodedObject;
use crate::open_error::OpenError;
use crate::server::ServerState;
use crate::timestamp;

/// A ClusterRole, and the group that has it.
struct BootstrapEntry {
    role: &'static str,
    group: &'static str,
    rules: Value,
}

/// Every user may read what is served, and ask who they are and what they may do:
/// kubectl and client libraries do so first.
fn entries() -> [BootstrapEntry; 3] {
    [
        BootstrapEntry {
            role: "cluster-admin",
            group: MASTERS_GROUP,
            rules: json!([
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]),
        },
        BootstrapEntry {
            role: "system:discovery",
            group: AUTHENTICATED_GROUP,
            rules: json!([{"verbs": ["get"], "nonResourceURLs": [
                "/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/healthz/*", "/livez",
                "/livez/*", "/openapi", "/openapi/*", "/readyz", "/readyz/*", "/version", "/version/",
            ]}]),
        },
        BootstrapEntry {
            role: "system:basic-user",
            group: AUTHENTICATED_GROUP,
            rules: json!([
                {
                    "verbs": ["create"],
                    "apiGroups": ["authorization.k8s.io"],
                    "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                },
                {
                    "verbs": ["create"],
                    "apiGroups": ["authentication.k8s.io"],
                    "resources": ["selfsubjectreviews"],
                },
            ]),
        },
    ]
}

/// Creates the missing roles and bindings. Existing ones are left as they are: an
/// administrator may have changed them.
pub(crate) async fn create_missing(server: &Arc<ServerState>) -> Result<(), OpenError> {
    for BootstrapEntry { role, group, rules } in entries() {
        let binding = json!({
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
        });
        create(server, "clusterroles", role, json!({"rules": rules})).await?;
        create(server, "clusterrolebindings", role, binding).await?;
    }
    Ok(())
}

async fn create(
    server: &Arc<ServerState>,
    resource: &str,
    name: &'static str,
    fields: Value,
) -> Result<(), OpenError> {
    let mut object = json!({"metadata": {
        "name": name,
        "uid": uuid::Uuid::new_v4().to_string(),
        "creationTimestamp": timestamp::rfc3339_seconds(server.clock.now()),
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    }});
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    let storable = EncodedObject::new(&object);
    let change = RecordChange::put(move |revision| storable.at_revision(revision));
    let key = format!("{GROUP}/{resource}/{name}");
    match server
        .store
        .commit(&key, WritePrecondition::Absent, change)
        .await
    {
        Ok(_) | Err(CommitError::Exists(_)) => Ok(()),
        Err(source) => Err(OpenError::Role { name, source }),
    }
}
