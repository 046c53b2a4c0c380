//! What the life of a namespace means for the objects in it.

use rdd_apiserver_schema::names;
use serde::Deserialize;

use crate::status::{ApiError, Cause};
use crate::verbs::call::Call;

#[derive(Deserialize)]
struct Namespace {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

/// Refuses a new object in a namespace that is missing or being deleted.
pub(crate) fn admit(call: &Call, name: &str) -> Result<(), ApiError> {
    let Some(namespace) = call.namespace() else {
        return Ok(());
    };
    let kind = &call.resource.kind;
    if !names::dns_label(namespace).is_empty() {
        return Err(ApiError::not_found("", "namespaces", namespace));
    }
    let snapshot = call.server.store.snapshot();
    let record = snapshot
        .get(&format!("core/namespaces/{namespace}"))
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
            vec![Cause::new(
                "NamespaceTerminating",
                "metadata.namespace",
                format!("namespace {namespace} is being terminated"),
            )],
        ));
    }
    Ok(())
}
