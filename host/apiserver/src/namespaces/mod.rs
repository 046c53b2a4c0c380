//! The life cycle of namespaces: a terminating namespace accepts no new
//! objects, its objects are deleted, and it is deleted after the last of them.

pub(crate) mod controller;

mod conditions;
mod content;

use rdd_apiserver_schema::names;
use rdd_apiserver_storage::RecordGuard;
use serde::Deserialize;

use crate::status::{ApiError, StatusCause};
use crate::verbs::context::RequestContext;

/// The prefix of the keys of namespaces in the store.
pub(crate) const KEY_PREFIX: &str = "core/namespaces/";
/// The finalizer that keeps a namespace until it is empty.
const FINALIZER: &str = "kubernetes";

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

/// Returns the guard that the namespace of a new object is unchanged and not
/// terminating, or `None` for a cluster-scoped object.
///
/// # Errors
/// 404 if the namespace does not exist, 403 if it is terminating.
pub(crate) fn namespace_guard(
    call: &RequestContext,
    name: &str,
) -> Result<Option<RecordGuard>, ApiError> {
    let Some(namespace) = call.namespace() else {
        return Ok(None);
    };
    let kind = &call.resource.kind;
    if !names::validate_dns_label(namespace).is_empty() {
        return Err(ApiError::not_found("", "namespaces", namespace));
    }
    let snapshot = call.server.store.snapshot();
    let record = snapshot
        .get(&format!("{KEY_PREFIX}{namespace}"))
        .ok_or_else(|| ApiError::not_found("", "namespaces", namespace))?;
    let stored: Namespace = serde_json::from_slice(&record.value)
        .map_err(|error| ApiError::internal(format!("namespace {namespace}: {error}")))?;
    if stored.metadata.deletion_timestamp.is_some() {
        return Err(ApiError::forbidden(
            &kind.group,
            &kind.plural,
            name,
            &format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            ),
            vec![StatusCause::new(
                "NamespaceTerminating",
                "metadata.namespace",
                format!("namespace {namespace} is being terminated"),
            )],
        ));
    }
    Ok(Some(RecordGuard::unchanged(record)))
}
