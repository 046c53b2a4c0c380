//! The collection of one object: it is deleted, loses the references to absent
//! owners, or loses its finalizer when it waits for nothing any longer.

use std::sync::Arc;

use http::HeaderMap;
use rdd_apiserver_storage::StoredRecord;
use serde_json::Value;

use super::graph::{GraphNode, OwnerGraph};
use super::owner::{self, OwnerStatus};
use crate::controllers::record_writes;
use crate::meta;
use crate::negotiate::ResponseFormat;
use crate::path::ResourcePath;
use crate::query::QueryParams;
use crate::records::{self, RecordError};
use crate::request_context::RequestContext;
use crate::resource::ServedResource;
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;
use crate::verbs::delete::{self, DeleteOptions};
use crate::verbs::managed_fields;
use crate::warnings::WarningRecorder;

/// The user name of the collector, as admission policies see it.
pub(crate) const USER: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// The field manager of the collector, as upstream.
const MANAGER: &str = "kube-controller-manager";

/// An error of [`collect`].
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    /// A stored object could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A request of the collector was refused or failed.
    #[error("{}", .0.message())]
    Request(ApiError),
}

impl CollectError {
    /// Returns whether a retry may succeed. A policy that refuses is called
    /// again when the object or its owners change.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Record(RecordError::Unreadable { .. }) => false,
            Self::Record(_) => true,
            Self::Request(error) => !matches!(error.code(), 403 | 413 | 422),
        }
    }
}

/// Does the next step for one object. `deleted_owner` is the UID of an owner
/// whose deletion was observed: it is absent even if its kind is not served any
/// longer.
pub(super) async fn collect(
    server: &Arc<ServerState>,
    graph: &OwnerGraph,
    key: &str,
    deleted_owner: Option<&str>,
) -> Result<(), CollectError> {
    let snapshot = server.store.snapshot();
    let (Some(graph_node), Some(record)) = (graph.get(key), snapshot.get(key)) else {
        return Ok(());
    };
    // The current state: the graph may lag some events behind.
    let node = &GraphNode::read(&record.value).map_err(|error| RecordError::Unreadable {
        key: Arc::clone(&record.key),
        error,
    })?;
    // The graph has all events from before the deletion of this object only
    // once it has the deletion itself: until then, dependents may be missing.
    if node.is_orphaning_dependents() && graph_node.is_orphaning_dependents() {
        return orphan_dependents(server, graph, node, record).await;
    }
    if node.is_deleting_dependents() && graph_node.is_deleting_dependents() {
        return release_owner(server, graph, node, record).await;
    }
    if node.terminating || node.owners.is_empty() {
        return Ok(());
    }
    let registry = server.registry.load_full();
    let Some((resource, namespace, name)) = owner::resolve(&registry, key) else {
        return Ok(());
    };
    let (mut absent, mut waiting, mut solid) = (Vec::new(), Vec::new(), false);
    for reference in &node.owners {
        let status = if deleted_owner == Some(&reference.uid) {
            OwnerStatus::Absent
        } else {
            owner::classify(&registry, &snapshot, reference, namespace)
        };
        match status {
            OwnerStatus::Solid => solid = true,
            OwnerStatus::Absent => absent.push(reference.uid.as_str()),
            OwnerStatus::DeletingDependents => waiting.push(reference.uid.as_str()),
            OwnerStatus::Unknown => {
                tracing::debug!(
                    key,
                    owner = %reference.name,
                    kind = %reference.kind,
                    "an owner of a kind that is not served counts as existing"
                );
                solid = true;
            }
        }
    }
    if absent.is_empty() && waiting.is_empty() {
        return Ok(());
    }
    if solid {
        absent.append(&mut waiting);
        return remove_owner_references(server, record, &absent).await;
    }
    let policy = if node.orphan {
        "Orphan"
    } else if node.foreground || !waiting.is_empty() {
        // Its dependents are deleted first, including those that are not in the
        // graph yet.
        "Foreground"
    } else {
        "Background"
    };
    tracing::info!(key, policy, "deleting an object whose owners are gone");
    let options = DeleteOptions {
        precondition_uid: Some(node.uid.clone()),
        // If a client removes the last reference meanwhile, the object stays.
        precondition_resource_version: Some(record.revision.to_string()),
        propagation_policy: Some(policy.to_owned()),
        ..DeleteOptions::default()
    };
    let call = call(server, resource, namespace, name);
    match delete::delete_object(&call, name, &options).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == 404 => Ok(()),
        Err(error) => Err(CollectError::Request(error)),
    }
}

/// Removes the references to an owner from all dependents, then the finalizer
/// from the owner.
async fn orphan_dependents(
    server: &Arc<ServerState>,
    graph: &OwnerGraph,
    node: &GraphNode,
    record: &StoredRecord,
) -> Result<(), CollectError> {
    let snapshot = server.store.snapshot();
    for key in graph.dependents(&node.uid) {
        if let Some(dependent) = snapshot.get(&key) {
            remove_owner_references(server, dependent, &[&node.uid]).await?;
        }
    }
    remove_finalizer(server, record, meta::ORPHAN).await
}

/// Removes the finalizer from an owner whose deletion no dependent blocks.
async fn release_owner(
    server: &Arc<ServerState>,
    graph: &OwnerGraph,
    node: &GraphNode,
    record: &StoredRecord,
) -> Result<(), CollectError> {
    let is_blocked = graph.dependents(&node.uid).iter().any(|key| {
        graph.get(key).is_some_and(|dependent| {
            dependent
                .owners
                .iter()
                .any(|owner| owner.uid == node.uid && owner.block_owner_deletion)
        })
    });
    if is_blocked {
        if graph.is_in_cycle(node) {
            // Objects that own each other would wait for each other forever.
            clear_block_owner_deletion(server, record).await?;
        }
        return Ok(());
    }
    remove_finalizer(server, record, meta::FOREGROUND).await
}

/// Changes an object. Fields that are removed have no owner any longer.
async fn edit(
    server: &Arc<ServerState>,
    record: &StoredRecord,
    change: impl FnOnce(&mut Value),
) -> Result<(), CollectError> {
    // As it is stored: a served version may have fewer fields.
    let live = records::read(record)?;
    let mut object = live.clone();
    change(&mut object);
    if object == live {
        return Ok(());
    }
    let registry = server.registry.load_full();
    // A kind that is not served any longer has no types, so its managed fields stay.
    if let Some((resource, namespace, name)) = owner::resolve(&registry, &record.key) {
        let call = call(server, resource, namespace, name);
        object = managed_fields::update(&call, Some(&live), object, MANAGER, server.clock.now())
            .map_err(CollectError::Request)?;
    }
    let is_namespace = record.key.starts_with(records::NAMESPACE_PREFIX);
    record_writes::replace(server, record, &object, is_namespace).await?;
    Ok(())
}

async fn remove_finalizer(
    server: &Arc<ServerState>,
    record: &StoredRecord,
    finalizer: &str,
) -> Result<(), CollectError> {
    edit(server, record, |object| {
        meta::edit(object, |meta| {
            if let Some(list) = meta.get_mut("finalizers").and_then(Value::as_array_mut) {
                list.retain(|found| found != finalizer);
                if list.is_empty() {
                    meta.remove("finalizers");
                }
            }
        });
    })
    .await
}

/// Returns the owner references in an object's metadata.
fn references(meta: &mut serde_json::Map<String, Value>) -> Option<&mut Vec<Value>> {
    meta.get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
}

async fn remove_owner_references(
    server: &Arc<ServerState>,
    record: &StoredRecord,
    uids: &[&str],
) -> Result<(), CollectError> {
    edit(server, record, |object| {
        meta::edit(object, |meta| {
            let left = references(meta).map(|list| {
                list.retain(|owner| !owner["uid"].as_str().is_some_and(|uid| uids.contains(&uid)));
                list.len()
            });
            if left == Some(0) {
                meta.remove("ownerReferences");
            }
        });
    })
    .await
}

async fn clear_block_owner_deletion(
    server: &Arc<ServerState>,
    record: &StoredRecord,
) -> Result<(), CollectError> {
    edit(server, record, |object| {
        meta::edit(object, |meta| {
            for owner in references(meta).into_iter().flatten() {
                if let Some(owner) = owner.as_object_mut() {
                    owner.insert("blockOwnerDeletion".to_owned(), false.into());
                }
            }
        });
    })
    .await
}

/// Returns the collector's request for an object.
fn call(
    server: &Arc<ServerState>,
    resource: Arc<ServedResource>,
    namespace: Option<&str>,
    name: &str,
) -> RequestContext {
    let kind = &resource.kind;
    let path = ResourcePath {
        group: kind.group.clone(),
        version: kind.version.clone(),
        namespace: namespace.map(str::to_owned),
        resource: kind.plural.clone(),
        name: Some(name.to_owned()),
        subresource: None,
    };
    RequestContext {
        server: Arc::clone(server),
        path,
        resource,
        query: QueryParams::default(),
        headers: HeaderMap::new(),
        format: ResponseFormat::JSON,
        user: UserInfo {
            name: USER.to_owned(),
            groups: vec!["system:serviceaccounts".to_owned()],
            ..UserInfo::default()
        },
        warnings: WarningRecorder::default(),
    }
}
