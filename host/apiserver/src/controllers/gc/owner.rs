//! Owner references and the state of the owners.

use std::sync::Arc;

use rdd_apiserver_storage::{StoreSnapshot, StoredRecord};
use serde::Deserialize;

use super::graph::GraphNode;
use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OwnerReference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) block_owner_deletion: bool,
}

/// The state of an owner, in the terms of the upstream garbage collector.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnerStatus {
    /// It exists.
    Solid,
    /// It is being deleted and waits for its dependents.
    DeletingDependents,
    /// It is gone: there is no object of the name, or one with another UID.
    Absent,
    /// It cannot be looked up: its kind is not served, or it is namespaced and
    /// the dependent is not.
    Unknown,
}

/// Returns the resource, namespace, and name of a key, if its resource is
/// served.
pub(super) fn resolve<'k>(
    registry: &ResourceRegistry,
    key: &'k str,
) -> Option<(Arc<ServedResource>, Option<&'k str>, &'k str)> {
    let resource = registry
        .resources()
        .filter(|resource| key.starts_with(&resource.key_prefix))
        // Of kinds that share their objects, the one that stores them as they
        // are.
        .min_by_key(|resource| !resource.is_verbatim())?;
    let rest = key.strip_prefix(&resource.key_prefix)?;
    Some(match rest.split_once('/') {
        Some((namespace, name)) => (Arc::clone(resource), Some(namespace), name),
        None => (Arc::clone(resource), None, rest),
    })
}

/// Returns the state of an owner. `namespace` is the dependent's namespace.
pub(super) fn classify(
    registry: &ResourceRegistry,
    snapshot: &StoreSnapshot,
    reference: &OwnerReference,
    namespace: Option<&str>,
) -> OwnerStatus {
    let (group, version) = reference
        .api_version
        .split_once('/')
        .unwrap_or(("", &reference.api_version));
    let Some(resource) = registry.resources().find(|resource| {
        let kind = &resource.kind;
        kind.group == group && kind.version == version && kind.kind == reference.kind
    }) else {
        return OwnerStatus::Unknown;
    };
    let key = match (resource.kind.namespaced, namespace) {
        (true, None) => return OwnerStatus::Unknown,
        (true, namespace) => resource.key(namespace, &reference.name),
        (false, _) => resource.key(None, &reference.name),
    };
    match snapshot.get(&key) {
        None => OwnerStatus::Absent,
        Some(record) => classify_record(record, reference),
    }
}

fn classify_record(record: &StoredRecord, reference: &OwnerReference) -> OwnerStatus {
    match GraphNode::read(&record.value) {
        Ok(owner) if owner.uid != reference.uid => OwnerStatus::Absent,
        Ok(owner) if owner.is_deleting_dependents() => OwnerStatus::DeletingDependents,
        Ok(_) => OwnerStatus::Solid,
        Err(error) => {
            tracing::error!(key = %record.key, %error, "cannot read an owner");
            OwnerStatus::Unknown
        }
    }
}
