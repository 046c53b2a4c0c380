//! CustomResourceDefinitions: judged when they are written, then brought to
//! life by one controller that swaps the registry and says so in the status.

mod cleanup;
pub(crate) mod controller;
mod custom;
mod names;
mod status;

use std::time::Duration;

use serde_json::{Value, json};

use crate::meta;
use crate::verbs::call::Call;

/// Group and plural of definitions.
pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";
/// Where definitions lie in the store.
pub(crate) const PREFIX: &str = "apiextensions.k8s.io/customresourcedefinitions/";
/// Holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How long a write of a definition waits until it is served. A slow registry
/// does not fail the write: it is committed.
const SETTLE: Duration = Duration::from_secs(2);

/// After a write of a definition: waits until the registry reflects it, so
/// that whoever wrote it can use it at once.
pub(crate) async fn settle(call: &Call, revision: u64) {
    if call.group() != GROUP || call.resource.kind.plural != PLURAL {
        return;
    }
    let mut reflected = call.server.reflected.subscribe();
    let waited = tokio::time::timeout(SETTLE, reflected.wait_for(|seen| *seen >= revision)).await;
    if waited.is_err() {
        tracing::warn!(
            revision,
            "a resource definition is written but not served yet"
        );
    }
}

/// A definition that is being deleted: held until its objects are gone.
pub(crate) fn delete(object: &mut Value, now: &str) {
    let held = meta::finalizers(object).contains(&CLEANUP);
    if meta::terminating(object) {
        return;
    }
    if !held {
        meta::edit(object, |meta| {
            let list = meta.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(CLEANUP.into());
            }
        });
    }
    let Some(found) = object.get_mut("status") else {
        return;
    };
    status::condition(
        found,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    );
}
