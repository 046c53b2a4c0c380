//! Decides about a write by all policies that match it.

use std::sync::Arc;

use rdd_apiserver_schema::{AdmissionInput, FailureReason, ValidationFailure};
use serde_json::Value;

use super::GROUP;
use super::request_view::RequestView;
use super::snapshot::{BindingEntry, PolicyDefinition, PolicyEntry, PolicySnapshot};
use crate::admission::AdmissionRequest;
use crate::resource::ServedResource;
use crate::status::{ApiError, StatusCause};
use crate::warnings::WarningRecorder;

/// A failure that denies a request.
struct DenialReason {
    message: String,
    reason: FailureReason,
}

/// Admits or refuses a write, and adds the warnings of the policies to the
/// request.
///
/// # Errors
/// 403, 413, or 422 with the message of the first policy that denies the
/// write. 404 if the namespace of the object does not exist.
pub(crate) async fn admit(
    policies: &PolicySnapshot,
    view: RequestView<'_>,
    warnings: &WarningRecorder,
) -> Result<(), ApiError> {
    let request = view.request();
    // Policies never decide about themselves: one that denies everything could
    // not be removed.
    if request.group == GROUP {
        return Ok(());
    }
    let mut first: Option<DenialReason> = None;
    for entry in &policies.entries {
        // Most requests match no policy, and need nothing else of what follows.
        let Some(matched) = entry.policy.predicate.matched_resource(&view)? else {
            continue;
        };
        let pace = &entry.policy.pace;
        let denial = pace.run(|| decide(&view, entry, &matched, warnings))?;
        first = first.or(denial);
        tokio::task::yield_now().await;
    }
    match first {
        None => Ok(()),
        Some(denial) => Err(denied(request, denial)),
    }
}

fn denied(request: &AdmissionRequest<'_>, denial: DenialReason) -> ApiError {
    let DenialReason { message, reason } = denial;
    let cause = StatusCause::new("", "", message.clone());
    let (group, resource, name) = (request.group, request.resource, request.name);
    let error = ApiError::forbidden(group, resource, name, &message, vec![cause]);
    match reason {
        FailureReason::Forbidden => error,
        FailureReason::Invalid => error.with_reason(422, "Invalid"),
        FailureReason::RequestEntityTooLarge => error.with_reason(413, "RequestEntityTooLarge"),
    }
}

/// Returns the first failure of one policy, which matches the request as one for
/// `matched`, that denies the request.
fn decide(
    view: &RequestView<'_>,
    entry: &PolicyEntry,
    matched: &ServedResource,
    warnings: &WarningRecorder,
) -> Result<Option<DenialReason>, ApiError> {
    let policy = &entry.policy;
    let param_resource = policy
        .param_kind
        .as_ref()
        .map(|kind| kind.find(&view.registry).cloned())
        .transpose();
    let (program, param_resource) = match (&policy.program, param_resource) {
        (Ok(program), Ok(param_resource)) => (program, param_resource),
        (Err(error), _) => return Ok(configuration_denial(policy, None, &error.to_string())),
        (_, Err(error)) => return Ok(configuration_denial(policy, None, &error.to_string())),
    };
    let [object, old_object] = view.objects_as(matched);
    let request_value = view.request_value(matched);
    let namespace = view.namespace_object()?;
    let input = AdmissionInput::new(
        object.as_deref(),
        old_object.as_deref(),
        &request_value,
        namespace.as_ref(),
    )
    .with_authorizer(view.authorization(), view.resource_target());
    let mut first: Option<DenialReason> = None;
    for binding in &entry.bindings {
        if binding.predicate.matched_resource(view)?.is_none() {
            continue;
        }
        let params = match collect_params(view, binding, param_resource.as_ref()) {
            Ok(params) => params,
            Err(error) => {
                first = first.or_else(|| configuration_denial(policy, Some(binding), &error));
                continue;
            }
        };
        for param in &params {
            let report = program.evaluate(&input, param.as_ref());
            for failure in report.failures {
                let denial = act(policy, binding, failure, warnings);
                first = first.or(denial);
            }
            for failure in report.annotation_failures {
                first = first.or_else(|| Some(denial(policy, binding, failure)));
            }
        }
    }
    Ok(first)
}

/// Returns the parameters with which a policy is evaluated, once for each;
/// `None` is an evaluation without parameters.
fn collect_params(
    view: &RequestView<'_>,
    binding: &BindingEntry,
    resource: Option<&Arc<ServedResource>>,
) -> Result<Vec<Option<Value>>, String> {
    let (Some(resource), Some(selection)) = (resource, &binding.params) else {
        return Ok(vec![None]);
    };
    selection
        .select(resource, &view.snapshot, view.namespace())
        .map(|params| params.into_iter().map(Some).collect())
        .map_err(|error| error.to_string())
}

/// Carries out the actions of a binding. Returns the failure if it denies the
/// request.
fn act(
    policy: &PolicyDefinition,
    binding: &BindingEntry,
    failure: ValidationFailure,
    warnings: &WarningRecorder,
) -> Option<DenialReason> {
    if binding.warns {
        warnings.add(format!(
            "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
            policy.name, binding.name, failure.message
        ));
    }
    if binding.audits {
        // Without the message, which may contain parts of the object.
        tracing::info!(
            policy = policy.name,
            binding = binding.name,
            "a request fails the validation of an admission policy"
        );
    }
    binding.denies.then(|| denial(policy, binding, failure))
}

fn denial(
    policy: &PolicyDefinition,
    binding: &BindingEntry,
    failure: ValidationFailure,
) -> DenialReason {
    DenialReason {
        message: format!(
            "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {}",
            policy.name, binding.name, failure.message
        ),
        reason: failure.reason,
    }
}

/// Returns the denial because of a policy or a binding that cannot be used,
/// unless the policy ignores errors.
fn configuration_denial(
    policy: &PolicyDefinition,
    binding: Option<&BindingEntry>,
    error: &str,
) -> Option<DenialReason> {
    let name = &policy.name;
    let message = match binding {
        Some(binding) => format!(
            "ValidatingAdmissionPolicy '{name}' with binding '{}' denied request: failed to configure binding: {error}",
            binding.name
        ),
        None => format!(
            "ValidatingAdmissionPolicy '{name}' denied request: failed to configure policy: {error}"
        ),
    };
    (!policy.ignores_errors).then(|| DenialReason {
        message,
        reason: FailureReason::default(),
    })
}
