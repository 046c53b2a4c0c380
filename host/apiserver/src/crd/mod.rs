//! CustomResourceDefinitions: judged when they are written, then brought to
//! life by one controller that swaps the registry and says so in the status.

mod conditions;
pub(crate) mod controller;
mod finalizer;
mod name_conflicts;
mod served_versions;

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdd_apiserver_storage::RecordGuard;
use serde_json::{Value, json};

use crate::meta;
use crate::status::ApiError;
use crate::verbs::call::Call;

/// Group and plural of definitions.
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";
/// Where definitions lie in the store.
pub(crate) const KEY_PREFIX: &str = "apiextensions.k8s.io/customresourcedefinitions/";
/// Holds a definition until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How long a write of a definition waits until it is served. A slow registry
/// does not fail the write: it is committed.
const SERVE_TIMEOUT: Duration = Duration::from_secs(2);

/// After a write of a definition: waits until the registry reflects it, so
/// that whoever wrote it can use it at once.
pub(crate) async fn wait_until_served(call: &Call, revision: u64) {
    if call.group() != GROUP || call.resource.kind.plural != PLURAL {
        return;
    }
    wait_for_registry(call, revision).await;
}

async fn wait_for_registry(call: &Call, revision: u64) {
    let mut reflected = call.server.registry_revision.subscribe();
    let waited =
        tokio::time::timeout(SERVE_TIMEOUT, reflected.wait_for(|seen| *seen >= revision)).await;
    if waited.is_err() {
        tracing::warn!(
            revision,
            "a resource definition is written but not served yet"
        );
    }
}

/// What a new object of a defined kind rests on: its definition, which must
/// not be terminating. Nothing for a built-in kind.
///
/// # Errors
/// 403 when the definition is being deleted, 404 when it is gone.
pub(crate) fn definition_guard(call: &Call, name: &str) -> Result<Option<RecordGuard>, ApiError> {
    if call.resource.is_builtin() {
        return Ok(None);
    }
    let kind = &call.resource.kind;
    // Not the call's own: a change of the definition may have replaced it.
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

/// Waits until the registry reflects every definition that is stored now.
pub(crate) async fn wait_for_all_definitions(call: &Call) {
    let snapshot = call.server.store.snapshot();
    let latest = snapshot
        .range(KEY_PREFIX, None)
        .map(|record| record.revision);
    wait_for_registry(call, latest.max().unwrap_or_default()).await;
}

/// A definition that is being deleted: held until its objects are gone.
pub(crate) fn mark_deleted(object: &mut Value, now: &str) {
    let held = meta::finalizers(object).contains(&CLEANUP_FINALIZER);
    if meta::terminating(object) {
        return;
    }
    if !held {
        meta::edit(object, |meta| {
            let list = meta.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(CLEANUP_FINALIZER.into());
            }
        });
    }
    let Some(found) = object.get_mut("status") else {
        return;
    };
    conditions::set_condition(
        found,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    );
}
