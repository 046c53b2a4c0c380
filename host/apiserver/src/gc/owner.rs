//! Owner references, and whether the owners are there.

use std::sync::Arc;

use rdd_apiserver_storage::{StoreSnapshot, StoredRecord};
use serde::Deserialize;

use super::graph::Node;
use crate::registry::Registry;
use crate::resource::Resource;

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

/// What is known of an owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It is being deleted and waits for this dependent.
    Waiting,
    /// It is gone: no object of that name, or one with another uid.
    Absent,
    /// Nobody here can say: its kind is not served, or it lies in a namespace
    /// while the dependent has none.
    Unknown,
}

/// The resource and namespace of a key, where it is served.
pub(super) fn resolve<'k>(
    registry: &Registry,
    key: &'k str,
) -> Option<(Arc<Resource>, Option<&'k str>, &'k str)> {
    let resource = registry
        .resources()
        .filter(|resource| key.starts_with(&resource.prefix))
        // Of kinds that share their objects, the one that stores them as they are.
        .min_by_key(|resource| !resource.verbatim())?;
    let rest = key.strip_prefix(&resource.prefix)?;
    Some(match rest.split_once('/') {
        Some((namespace, name)) => (Arc::clone(resource), Some(namespace), name),
        None => (Arc::clone(resource), None, rest),
    })
}

/// Looks an owner up. `namespace` is the dependent's.
pub(super) fn look_up(
    registry: &Registry,
    snapshot: &StoreSnapshot,
    reference: &OwnerReference,
    namespace: Option<&str>,
) -> Owner {
    let (group, version) = reference
        .api_version
        .split_once('/')
        .unwrap_or(("", &reference.api_version));
    let Some(resource) = registry.resources().find(|resource| {
        let kind = &resource.kind;
        kind.group == group && kind.version == version && kind.kind == reference.kind
    }) else {
        return Owner::Unknown;
    };
    let key = match (resource.kind.namespaced, namespace) {
        (true, None) => return Owner::Unknown,
        (true, namespace) => resource.key(namespace, &reference.name),
        (false, _) => resource.key(None, &reference.name),
    };
    match snapshot.get(&key) {
        None => Owner::Absent,
        Some(record) => judge(record, reference),
    }
}

fn judge(record: &StoredRecord, reference: &OwnerReference) -> Owner {
    match Node::read(&record.value) {
        Ok(owner) if owner.uid != reference.uid => Owner::Absent,
        Ok(owner) if owner.waits() => Owner::Waiting,
        Ok(_) => Owner::Solid,
        Err(error) => {
            tracing::error!(key = %record.key, %error, "an owner cannot be read");
            Owner::Unknown
        }
    }
}
