//! What a create depends on without changing it: its namespace and its definition must
//! not change before the commit.

use std::sync::atomic::Ordering;

use rdd_apiserver_schema::names;
use rdd_apiserver_storage::RecordGuard;
use serde::Deserialize;

use crate::definition;
use crate::records::NAMESPACE_PREFIX;
use crate::request_context::RequestContext;
use crate::status::{ApiError, StatusCause};

/// Returns the guards of the create of an object.
///
/// # Errors
/// 404 or 403 if the namespace or the definition is absent or terminating.
pub(super) fn create_guards(
    ctx: &RequestContext,
    name: &str,
) -> Result<Vec<RecordGuard>, ApiError> {
    let namespace = namespace_guard(ctx, name)?;
    let definition = definition_guard(ctx, name)?;
    Ok(namespace.into_iter().chain(definition).collect())
}

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
fn namespace_guard(ctx: &RequestContext, name: &str) -> Result<Option<RecordGuard>, ApiError> {
    let Some(namespace) = ctx.namespace() else {
        return Ok(None);
    };
    let kind = &ctx.resource.kind;
    if !names::validate_dns_label(namespace).is_empty() {
        return Err(ApiError::not_found("", "namespaces", namespace));
    }
    let snapshot = ctx.server.store.snapshot();
    let record = snapshot
        .get(&format!("{NAMESPACE_PREFIX}{namespace}"))
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

/// Returns the guard that the definition of a new custom object is unchanged
/// and not terminating, or `None` for a built-in kind.
///
/// # Errors
/// 403 if the definition is terminating, 404 if it was deleted.
fn definition_guard(ctx: &RequestContext, name: &str) -> Result<Option<RecordGuard>, ApiError> {
    if ctx.resource.is_builtin() {
        return Ok(None);
    }
    let kind = &ctx.resource.kind;
    // Not the resource of the request: a change of the definition may have
    // replaced it.
    let registry = ctx.server.registry.load();
    let Some(custom) = registry
        .get(&kind.group, &kind.version, &kind.plural)
        .and_then(|resource| resource.custom())
    else {
        return Err(ApiError::page_not_found());
    };
    let revision = custom.definition_revision.load(Ordering::Acquire);
    if custom.terminating.load(Ordering::Relaxed) {
        return Err(ApiError::forbidden(
            &kind.group,
            &kind.plural,
            name,
            "create not allowed while custom resource definition is terminating",
            Vec::new(),
        ));
    }
    Ok(Some(RecordGuard {
        key: format!("{}{}.{}", definition::KEY_PREFIX, kind.plural, kind.group).into(),
        revision,
    }))
}

/// Waits until the registry reflects all stored definitions.
pub(super) async fn wait_for_all_definitions(ctx: &RequestContext) {
    let snapshot = ctx.server.store.snapshot();
    let definitions = snapshot.range(definition::KEY_PREFIX, None);
    let latest = definitions.map(|record| record.revision).max();
    ctx.server
        .wait_for_registry(latest.unwrap_or_default())
        .await;
}
