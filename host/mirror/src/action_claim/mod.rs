//! Claims an action before it is carried out, so that only one of two daemons
//! on the same engine does so.
//!
//! The Lease keeps a second daemon from acting, but a Lease may be deleted or
//! change hands while an action is running. The claim names the instance that
//! carries out the action. It is written on condition that the version is the
//! one that was read, so one of two instances wins. After a crash, the same
//! instance finds its own claim and carries out the action again; another
//! instance reports that the outcome is unknown.

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rdd_api::{
    ACTION_ANNOTATION, ACTION_CLAIM_ANNOTATION, Container, FIELD_MANAGER, INSTANCE_LABEL,
};
use serde_json::json;

use crate::instance::InstanceId;
use crate::key::MirrorKey;

/// Maximum number of attempts when others write the object between our read and
/// our write.
const MAX_ATTEMPTS: usize = 8;

/// The outcome of an attempt to claim an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// This instance has to carry out the action.
    Won,
    /// Another instance has claimed it, or it is no longer requested.
    Lost,
}

/// Claims the action that the `value` of the annotation requests.
///
/// # Errors
/// Fails if a request to the API fails, except for conflicts.
pub(crate) async fn claim(
    client: &Client,
    key: &MirrorKey,
    value: &str,
    instance: &InstanceId,
) -> Result<ClaimOutcome, kube::Error> {
    let api: Api<Container> = Api::namespaced(client.clone(), &key.namespace);
    for _ in 0..MAX_ATTEMPTS {
        let Some(object) = api.get_metadata_opt(&key.name).await? else {
            return Ok(ClaimOutcome::Lost);
        };
        let metadata = object.metadata;
        let labels = metadata.labels.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let owner = labels.get(INSTANCE_LABEL);
        if metadata.deletion_timestamp.is_some()
            || owner.is_none_or(|owner| owner != instance.as_str())
            || annotations
                .get(ACTION_ANNOTATION)
                .is_none_or(|current| current != value)
        {
            return Ok(ClaimOutcome::Lost);
        }
        match annotations.get(ACTION_CLAIM_ANNOTATION) {
            Some(claim) if claim == instance.as_str() => return Ok(ClaimOutcome::Won),
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
    // Others keep writing it; the mirror is reconciled again after a delay.
    Ok(ClaimOutcome::Lost)
}

#[cfg(test)]
mod tests;
