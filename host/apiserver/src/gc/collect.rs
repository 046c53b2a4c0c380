//! What one object needs: to be deleted, to be freed of owners that are gone,
//! or to be let go because nothing that it waited for is left.

use std::sync::Arc;

use http::HeaderMap;
use rdd_apiserver_storage::StoredRecord;
use serde_json::Value;

use super::graph::{GraphNode, OwnerGraph};
use super::owner::{self, OwnerStatus};
use crate::meta;
use crate::negotiate::Format;
use crate::path::ResourcePath;
use crate::query::Query;
use crate::records::{self, RecordError};
use crate::resource::ServedResource;
use crate::server::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;
use crate::verbs::call::Call;
use crate::verbs::delete::{self, DeleteOptions};

/// As whom the collector deletes: admission policies see this name.
pub(crate) const USER: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

/// Why an object was not brought where it belongs.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectError {
    /// A write in the stored form failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A deletion was refused or failed.
    #[error("{}", .0.message())]
    Delete(ApiError),
}

impl CollectError {
    /// Whether trying again in a moment may help. A policy that refuses is
    /// asked again when the object or its owners change.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Record(RecordError::Unreadable { .. }) => false,
            Self::Record(_) => true,
            Self::Delete(error) => error.code() != 403,
        }
    }
}

/// Brings one object where it belongs. `gone` is the uid of an owner whose
/// deletion was just seen: that one is absent whatever is served by now.
pub(super) async fn collect(
    server: &Arc<ServerState>,
    graph: &OwnerGraph,
    key: &str,
    gone: Option<&str>,
) -> Result<(), CollectError> {
    let snapshot = server.store.snapshot();
    let (Some(known), Some(record)) = (graph.get(key), snapshot.get(key)) else {
        return Ok(());
    };
    // As it stands now: the graph may be some events behind.
    let node = &GraphNode::read(&record.value).map_err(|source| RecordError::Unreadable {
        key: Arc::clone(&record.key),
        source,
    })?;
    // What happened before the object was marked is in the graph only once the
    // mark is: until then, dependents may be missing from it.
    if node.is_orphaning_dependents() && known.is_orphaning_dependents() {
        return orphan_dependents(server, graph, node, record).await;
    }
    if node.is_deleting_dependents() && known.is_deleting_dependents() {
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
        let found = if gone == Some(&reference.uid) {
            OwnerStatus::Absent
        } else {
            owner::classify(&registry, &snapshot, reference, namespace)
        };
        match found {
            OwnerStatus::Solid => solid = true,
            OwnerStatus::Absent => absent.push(reference.uid.as_str()),
            OwnerStatus::DeletingDependents => waiting.push(reference.uid.as_str()),
            OwnerStatus::Unknown => {
                tracing::debug!(
                    key,
                    owner = %reference.name,
                    kind = %reference.kind,
                    "an owner of a kind that is not served here counts as there"
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
        // Its own dependents, those too that the graph does not have yet, go
        // before it.
        "Foreground"
    } else {
        "Background"
    };
    tracing::info!(key, policy, "deleting an object whose owners are gone");
    let options = DeleteOptions {
        uid: Some(node.uid.clone()),
        // Whoever takes the last reference away meanwhile keeps the object.
        revision: Some(record.revision.to_string()),
        policy: Some(policy.to_owned()),
        ..DeleteOptions::default()
    };
    let call = call(server, resource, namespace, name);
    match delete::remove(&call, name, &options).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == 404 => Ok(()),
        Err(error) => Err(CollectError::Delete(error)),
    }
}

/// Takes the references to an owner from everything that it owns, then lets
/// the owner go.
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

/// Lets an owner go that nothing blocks any more.
async fn release_owner(
    server: &Arc<ServerState>,
    graph: &OwnerGraph,
    node: &GraphNode,
    record: &StoredRecord,
) -> Result<(), CollectError> {
    let blocked = graph.dependents(&node.uid).iter().any(|key| {
        graph.get(key).is_some_and(|dependent| {
            dependent
                .owners
                .iter()
                .any(|owner| owner.uid == node.uid && owner.block_owner_deletion)
        })
    });
    if blocked {
        if graph.is_in_cycle(node) {
            // Objects that own each other would wait for each other.
            clear_block_owner_deletion(server, record).await?;
        }
        return Ok(());
    }
    remove_finalizer(server, record, meta::FOREGROUND).await
}

async fn edit(
    server: &Arc<ServerState>,
    record: &StoredRecord,
    change: impl FnOnce(&mut Value),
) -> Result<(), CollectError> {
    let mut object = records::read(record)?;
    let before = object.clone();
    change(&mut object);
    if object != before {
        let namespace = record.key.starts_with(crate::namespaces::KEY_PREFIX);
        records::replace(server, record, &object, namespace).await?;
    }
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

/// The owner references of an object's metadata.
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

/// The collector's own request about an object.
fn call(
    server: &Arc<ServerState>,
    resource: Arc<ServedResource>,
    namespace: Option<&str>,
    name: &str,
) -> Call {
    let kind = &resource.kind;
    let path = ResourcePath {
        group: kind.group.clone(),
        version: kind.version.clone(),
        namespace: namespace.map(str::to_owned),
        resource: kind.plural.clone(),
        name: Some(name.to_owned()),
        subresource: None,
    };
    Call {
        server: Arc::clone(server),
        path,
        resource,
        query: Query::default(),
        headers: HeaderMap::new(),
        format: Format::JSON,
        user: UserInfo {
            name: USER.to_owned(),
            groups: vec!["system:serviceaccounts".to_owned()],
            ..UserInfo::default()
        },
    }
}
