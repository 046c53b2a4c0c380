//! The namespaces that exist in each cluster.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::json;

use crate::encode::EncodedObject;
use crate::open_error::OpenError;
use crate::server_state::ServerState;
use crate::timestamp;

/// The namespaces that all clients expect.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates the missing namespaces.
pub(crate) async fn create_missing(server: &Arc<ServerState>) -> Result<(), OpenError> {
    for name in NAMESPACES {
        let object = json!({
            "metadata": {
                "name": name,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": timestamp::rfc3339_seconds(server.clock.now()),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        let storable = EncodedObject::new(&object);
        let change = RecordChange::put(move |revision| storable.at_revision(revision));
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
            Err(source) => return Err(OpenError::Namespace { name, source }),
        }
    }
    Ok(())
}
