//! CustomResourceDefinitions: validated when they are written, then served by
//! one controller, which swaps the registry and reports in the status.

pub(crate) mod controller;

mod conditions;
mod finalizer;
mod name_conflicts;
mod served_versions;

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdd_apiserver_storage::RecordGuard;
use serde_json::{Value, json};

use crate::meta;
use crate::status::ApiError;
use crate::verbs::context::RequestContext;

/// The group and the plural of definitions.
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";
/// The prefix of the keys of definitions in the store.
pub(crate) const KEY_PREFIX: &str = "apiextensions.k8s.io/customresourcedefinitions/";
/// The finalizer that keeps a definition until its objects are deleted.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The maximum time that a write of a definition waits until it is served.
/// After it, the write succeeds all the same, since it is committed.
const SERVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits, after a write of a definition, until the registry reflects it, so
/// that the client can use it at once. Returns immediately after other writes.
pub(crate) async fn wait_until_served(call: &RequestContext, revision: u64) {
    if call.group() != GROUP || call.resource.kind.plural != PLURAL {
        return;
    }
    wait_for_registry(call, revision).await;
}

async fn wait_for_registry(call: &RequestContext, revision: u64) {
    let mut registry_revision = call.server.registry_revision.subscribe();
    let waited = tokio::time::timeout(
        SERVE_TIMEOUT,
        registry_revision.wait_for(|current| *current >= revision),
    )
    .await;
    if waited.is_err() {
        tracing::warn!(revision, "a definition was written but is not served yet");
    }
}

/// Returns the guard that the definition of a new custom object is unchanged
/// and not terminating, or `None` for a built-in kind.
///
/// # Errors
/// 403 if the definition is terminating, 404 if it was deleted.
pub(crate) fn definition_guard(
    call: &RequestContext,
    name: &str,
) -> Result<Option<RecordGuard>, ApiError> {
    if call.resource.is_builtin() {
        return Ok(None);
    }
    let kind = &call.resource.kind;
    // Not the resource of the call: a change of the definition may have
    // replaced it.
    let registry = call.server.registry.load();
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
        key: format!("{KEY_PREFIX}{}.{}", kind.plural, kind.group).into(),
        revision,
    }))
}

/// Waits until the registry reflects all stored definitions.
pub(crate) async fn wait_for_all_definitions(call: &RequestContext) {
    let snapshot = call.server.store.snapshot();
    let latest = snapshot
        .range(KEY_PREFIX, None)
        .map(|record| record.revision);
    wait_for_registry(call, latest.max().unwrap_or_default()).await;
}

/// Marks a definition as terminating and adds the finalizer that keeps it until
/// its objects are deleted.
pub(crate) fn mark_deleted(object: &mut Value, now: &str) {
    let has_finalizer = meta::finalizers(object).contains(&CLEANUP_FINALIZER);
    if meta::is_terminating(object) {
        return;
    }
    if !has_finalizer {
        meta::edit(object, |meta| {
            let list = meta.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(CLEANUP_FINALIZER.into());
            }
        });
    }
    let Some(status) = object.get_mut("status") else {
        return;
    };
    conditions::set_condition(
        status,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    );
}
