//! Managed fields: calls of the field manager for a request.

use jiff::Timestamp;
use rdd_apiserver_fieldmanager::{self as fieldmanager, ApplyError, ObjectType, PatchError};
use serde_json::Value;

use super::write_options::WriteOptions;
use crate::request_context::RequestContext;
use crate::status::{ApiError, StatusCause};
use crate::timestamp;

/// Calls the field manager with the tracking request of this request.
fn with_tracking_request<R>(
    ctx: &RequestContext,
    manager: &str,
    now: Timestamp,
    operation: impl FnOnce(&fieldmanager::TrackingRequest<'_>) -> R,
) -> R {
    let kind = &ctx.resource.kind;
    let api_version = kind.api_version();
    let now = timestamp::rfc3339_seconds(now);
    let types = &ctx.resource.types;
    let versions: Vec<(&str, &ObjectType)> = types
        .versions
        .iter()
        .map(|(version, tree)| (version.as_str(), tree.as_ref()))
        .collect();
    let subresource = ctx.path.subresource.as_deref();
    let has_status = ctx.resource.strategy().has_status_subresource();
    let ignored = fieldmanager::reset_fields(subresource, has_status);
    operation(&fieldmanager::TrackingRequest {
        manager,
        api_version: &api_version,
        subresource,
        now: &now,
        object_type: &types.tree,
        versions: &versions,
        zero: types.zero.as_deref(),
        reset_fields: &ignored,
    })
}

/// Updates the managed fields of a write other than an apply.
///
/// # Errors
/// 400 for invalid managed fields in the new object.
pub(crate) fn update(
    ctx: &RequestContext,
    live: Option<&Value>,
    new: Value,
    manager: &str,
    now: Timestamp,
) -> Result<Value, ApiError> {
    with_tracking_request(ctx, manager, now, |request| {
        fieldmanager::update(live, new, request)
            .map_err(|error| ApiError::bad_request(error.to_string()))
    })
}

/// Applies a configuration to the live object.
///
/// # Errors
/// 409 with the conflicting fields, 400 or 500 for a configuration that the field
/// manager cannot process.
pub(crate) fn apply(
    ctx: &RequestContext,
    live: Option<&Value>,
    applied: &Value,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let now = ctx.server.clock.now();
    with_tracking_request(ctx, &options.manager, now, |request| {
        fieldmanager::apply(live, applied, options.force, request)
            .map_err(|error| apply_error(&error))
    })
}

fn apply_error(error: &ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => ApiError::apply_conflict(
            error.to_string(),
            conflicts
                .iter()
                .map(|conflict| {
                    StatusCause::new(
                        "FieldManagerConflict",
                        conflict.field.to_string(),
                        conflict.cause_message(),
                    )
                })
                .collect(),
        ),
        other if other.code() == 400 => ApiError::bad_request(other.to_string()),
        other => ApiError::untyped(other.to_string()),
    }
}

/// Converts the error of a patch.
pub(crate) fn patch_error(error: &PatchError) -> ApiError {
    match error.code() {
        400 => ApiError::bad_request(error.to_string()),
        413 => ApiError::too_many_operations(error.to_string()),
        // kube-apiserver does not send the reason either.
        _ => {
            tracing::debug!(%error, "cannot apply a JSON patch");
            ApiError::unprocessable(
                "the server rejected our request due to an error in our request",
            )
        }
    }
}

/// Keeps the times of the live object's managed fields if nothing else changes, so
/// that such a write is not stored.
pub(crate) fn keep_times(object: &mut Value, live: &Value) {
    fieldmanager::keep_timestamps_if_unchanged(live, object);
}
