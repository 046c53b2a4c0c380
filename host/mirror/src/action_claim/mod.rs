//! Claiming an action before it is carried out, so that of two daemons on one
//! engine one does it.
//!
//! The Lease keeps a second daemon from acting; but a Lease may be deleted or
//! change hands while an action is running. The claim names the instance that
//! carries the action out. It is written over the version that was read, so one
//! of two wins. The same instance finds its own claim after a crash and carries
//! the action out again; another one says that the outcome is not known.

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rdd_api::{
    ACTION_ANNOTATION, ACTION_CLAIM_ANNOTATION, Container, FIELD_MANAGER, INSTANCE_LABEL,
};
use serde_json::json;

use crate::instance::InstanceId;
use crate::key::Key;

/// Writes of others between our reading and our writing that are put up with.
const ATTEMPTS: usize = 8;

/// Whether the action is this instance's to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    Won,
    /// It is somebody else's, or not asked for any more.
    Lost,
}

/// Claims the action that the annotation's `value` asks for.
pub(crate) async fn claim(
    client: &Client,
    key: &Key,
    value: &str,
    instance: &InstanceId,
) -> Result<ClaimOutcome, kube::Error> {
    let api: Api<Container> = Api::namespaced(client.clone(), &key.namespace);
    for _ in 0..ATTEMPTS {
        let Some(found) = api.get_metadata_opt(&key.name).await? else {
            return Ok(ClaimOutcome::Lost);
        };
        let metadata = found.metadata;
        let label = metadata.labels.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let owner = label.get(INSTANCE_LABEL);
        if metadata.deletion_timestamp.is_some()
            || owner.is_none_or(|owner| owner != instance.as_str())
            || annotations
                .get(ACTION_ANNOTATION)
                .is_none_or(|is| is != value)
        {
            return Ok(ClaimOutcome::Lost);
        }
        match annotations.get(ACTION_CLAIM_ANNOTATION) {
            Some(by) if by == instance.as_str() => return Ok(ClaimOutcome::Won),
            Some(_) => return Ok(ClaimOutcome::Lost),
            None => {}
        }
        let patch = Patch::Merge(json!({"metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "annotations": {ACTION_CLAIM_ANNOTATION: instance.as_str()},
        }}));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch_metadata(&key.name, &params, &patch).await {
            Ok(_) => return Ok(ClaimOutcome::Won),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                return Ok(ClaimOutcome::Lost);
            }
            Err(error) => return Err(error),
        }
    }
    // Others keep writing it: looked at again a moment later.
    Ok(ClaimOutcome::Lost)
}

#[cfg(test)]
mod tests;
