//! What must exist before anybody asks.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::json;

use crate::clock;
use crate::encode::Storable;
use crate::server::ServerState;

/// Namespaces that every client takes for granted.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates the namespaces that are missing.
pub(crate) async fn create_missing(server: &Arc<ServerState>) -> Result<(), String> {
    for name in NAMESPACES {
        let object = json!({
            "metadata": {
                "name": name,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": clock::seconds((server.clock)()),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        let storable = Storable::new(&object);
        let change = RecordChange::put(move |revision| storable.at(revision));
        match server
            .store
            .commit(
                &format!("core/namespaces/{name}"),
                WritePrecondition::Absent,
                change,
            )
            .await
        {
            Ok(_) | Err(CommitError::Exists(_)) => {}
            Err(error) => return Err(format!("namespace {name} cannot be created: {error}")),
        }
    }
    Ok(())
}
