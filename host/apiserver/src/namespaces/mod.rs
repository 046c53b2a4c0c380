//! What the life of a namespace means for the objects in it: a terminating
//! one takes no new objects, loses those that it has, and goes with the last.

mod content;
pub(crate) mod controller;
mod status;

use rdd_apiserver_schema::names;
use rdd_apiserver_storage::RecordGuard;
use serde::Deserialize;

use crate::status::{ApiError, StatusCause};
use crate::verbs::call::Call;

/// Where namespaces lie in the store.
pub(crate) const PREFIX: &str = "core/namespaces/";
/// Holds a namespace until nothing is left in it.
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

/// What a new object rests on: its namespace, which must be there and not be
/// terminating. Nothing for an object without one.
///
/// # Errors
/// 404 when there is no such namespace, 403 when it is being deleted.
pub(crate) fn ground(call: &Call, name: &str) -> Result<Option<RecordGuard>, ApiError> {
    let Some(namespace) = call.namespace() else {
        return Ok(None);
    };
    let kind = &call.resource.kind;
    if !names::validate_dns_label(namespace).is_empty() {
        return Err(ApiError::not_found("", "namespaces", namespace));
    }
    let snapshot = call.server.store.snapshot();
    let record = snapshot
        .get(&format!("{PREFIX}{namespace}"))
        .ok_or_else(|| ApiError::not_found("", "namespaces", namespace))?;
    let found: Namespace = serde_json::from_slice(&record.value)
        .map_err(|error| ApiError::internal(format!("namespace {namespace}: {error}")))?;
    if found.metadata.deletion_timestamp.is_some() {
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
    Ok(Some(RecordGuard::of(record)))
}
