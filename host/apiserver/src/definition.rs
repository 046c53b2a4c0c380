//! CustomResourceDefinitions as objects: where they are stored, their conditions, and how
//! their deletion begins.

use serde_json::{Map, Value, json};

use crate::meta;

/// The group and the plural of definitions.
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";
/// The prefix of the keys of definitions in the store.
pub(crate) const KEY_PREFIX: &str = "apiextensions.k8s.io/customresourcedefinitions/";
/// The finalizer that keeps a definition until its objects are deleted.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

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
    set_condition(
        status,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    );
}

/// Sets one condition. Its transition time changes only with its status.
pub(crate) fn set_condition(
    status: &mut Value,
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    if !status.is_object() {
        *status = Value::Object(Map::new());
    }
    let Some(status) = status.as_object_mut() else {
        return;
    };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return;
    };
    let time = list
        .iter()
        .find(|c| c["type"] == kind && c["status"] == state)
        .and_then(|c| c["lastTransitionTime"].as_str())
        .unwrap_or(now)
        .to_owned();
    let new = json!({
        "type": kind,
        "status": state,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    });
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => *old = new,
        None => list.push(new),
    }
}
