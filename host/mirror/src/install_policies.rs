//! Installs the admission policies of `rdd-api`. Nothing depends on them: an action
//! that is invalid is also rejected when it is carried out.

use std::fmt::Debug;

use futures::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource, ResourceExt};
use rdd_api::{BoundPolicy, FIELD_MANAGER, PART_OF, PART_OF_LABEL};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{info, warn};

/// The error of a policy or a binding that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot apply the {kind} {name}")]
pub struct ApplyPolicyError {
    /// Kind of the object.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// The error of the request.
    #[source]
    pub source: kube::Error,
}

impl ApplyPolicyError {
    /// Returns whether the server refused the request: it has no such objects
    /// (Kubernetes before 1.30), does not let this client write them, or has rules of
    /// its own about them.
    fn is_refusal(&self) -> bool {
        matches!(&self.source, kube::Error::Api(status) if (400..500).contains(&status.code))
    }
}

/// Applies every policy of `rdd-api` and its binding.
///
/// Objects of the same names that do not have the label [`PART_OF_LABEL`] belong to
/// somebody else and are left alone, so whoever removes the label can change them
/// for good. If the server refuses a write, a warning is logged.
///
/// # Errors
/// Fails if the server cannot be reached, or fails itself.
pub async fn apply_policies(client: &Client) -> Result<(), ApplyPolicyError> {
    let policies = rdd_api::admission_policies();
    let applied = try_join_all(policies.iter().map(|bound| apply_policy(client, bound))).await;
    match applied {
        Err(error) if error.is_refusal() => {
            warn!(
                error = error.to_string(),
                cause = %error.source,
                "invalid actions are not rejected when they are written; apply crds/ with the \
                 rights of an administrator, on Kubernetes 1.30 or newer"
            );
            Ok(())
        }
        result => result.map(drop),
    }
}

/// Applies a policy, then its binding: a binding without its policy does nothing, and
/// must not put the policy of somebody else in force.
async fn apply_policy(client: &Client, bound: &BoundPolicy) -> Result<(), ApplyPolicyError> {
    if apply_object(client, &bound.policy).await? {
        apply_object(client, &bound.binding).await?;
    }
    Ok(())
}

/// An object of a policy.
trait PolicyObject:
    Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
{
    const KIND: &'static str;
}

impl PolicyObject for ValidatingAdmissionPolicy {
    const KIND: &'static str = "ValidatingAdmissionPolicy";
}

impl PolicyObject for ValidatingAdmissionPolicyBinding {
    const KIND: &'static str = "ValidatingAdmissionPolicyBinding";
}

/// Applies an object unless it belongs to somebody else. Returns whether it did.
async fn apply_object<K: PolicyObject>(
    client: &Client,
    object: &K,
) -> Result<bool, ApplyPolicyError> {
    let name = object.name_any();
    let applied = write_object(client, &name, object).await;
    applied.map_err(|source| ApplyPolicyError {
        kind: K::KIND,
        name,
        source,
    })
}

async fn write_object<K: PolicyObject>(
    client: &Client,
    name: &str,
    object: &K,
) -> Result<bool, kube::Error> {
    let api: Api<K> = Api::all(client.clone());
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let written = match api.get_opt(name).await? {
        None => api.create(&params, object).await,
        Some(found) if is_ours(&found) => {
            // Replaced, not applied: the actions of a binding are a set, to which an
            // apply would add what somebody else has put there.
            let mut changed = object.clone();
            *changed.meta_mut() = ObjectMeta {
                managed_fields: None,
                ..found.meta().clone()
            };
            api.replace(name, &params, &changed).await
        }
        Some(_) => {
            info!(
                kind = K::KIND,
                name, "left alone: it has no label {PART_OF_LABEL}={PART_OF}"
            );
            return Ok(false);
        }
    };
    match written {
        // By another daemon that starts, or by somebody after whom the next start is.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(true),
        result => result.map(|_| true),
    }
}

fn is_ours(object: &impl Resource) -> bool {
    object.labels().get(PART_OF_LABEL).map(String::as_str) == Some(PART_OF)
}
