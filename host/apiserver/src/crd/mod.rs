//! CustomResourceDefinitions: judged when they are written, then brought to
//! life by one controller that swaps the registry and says so in the status.

pub(crate) mod controller;
pub(crate) mod custom;
pub(crate) mod prepare;
pub(crate) mod validate;

use std::time::Duration;

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
        tracing::warn!(revision, "a resource definition is written but not served yet");
    }
}
