//! Field ownership: the bridge to the field manager.

use std::sync::Arc;

use jiff::Timestamp;
use rdd_apiserver_fieldmanager::{self as fieldmanager, ApplyError, ObjectType, PatchError};
use serde_json::Value;

use crate::clock;
use crate::resource::Source;
use crate::status::{ApiError, StatusCause};
use crate::verbs::call::Call;
use crate::verbs::options::WriteOptions;

/// How a kind's fields are merged and owned, in every version that is served.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    own: Arc<ObjectType>,
    versions: Arc<[(String, Arc<ObjectType>)]>,
}

impl Types {
    /// The types of a kind with one version.
    pub(crate) fn of(schema: &Value) -> Self {
        Self {
            own: Arc::new(ObjectType::from_openapi(schema)),
            versions: Arc::new([]),
        }
    }

    /// The types of one of several versions, given as `apiVersion` and tree.
    pub(crate) fn among(own: Arc<ObjectType>, versions: Arc<[(String, Arc<ObjectType>)]>) -> Self {
        Self { own, versions }
    }
}

/// Calls the field manager with a request that speaks of this call.
fn with_request<R>(
    call: &Call,
    manager: &str,
    now: Timestamp,
    run: impl FnOnce(&fieldmanager::TrackingRequest<'_>) -> R,
) -> R {
    let kind = &call.resource.kind;
    let api_version = kind.api_version();
    let now = clock::seconds(now);
    let types = &call.resource.types;
    let versions: Vec<(&str, &ObjectType)> = types
        .versions
        .iter()
        .map(|(version, tree)| (version.as_str(), tree.as_ref()))
        .collect();
    let subresource = call.path.subresource.as_deref();
    let has_status = match &call.resource.source {
        Source::Custom(custom) => custom.status,
        Source::Builtin(builtin) => builtin.resets_status(),
    };
    let reset_fields = fieldmanager::reset_fields(subresource, has_status);
    run(&fieldmanager::TrackingRequest {
        manager,
        api_version: &api_version,
        subresource,
        now: &now,
        object_type: &types.own,
        versions: &versions,
        reset_fields: &reset_fields,
    })
}

/// Brings the managed fields of a write that is no apply up to date.
pub(crate) fn update(
    call: &Call,
    live: Option<&Value>,
    new: Value,
    manager: &str,
    now: Timestamp,
) -> Result<Value, ApiError> {
    with_request(call, manager, now, |request| {
        fieldmanager::update(live, new, request)
            .map_err(|error| ApiError::bad_request(error.to_string()))
    })
}

/// Applies a configuration.
pub(crate) fn apply(
    call: &Call,
    live: Option<&Value>,
    applied: &Value,
    options: &WriteOptions,
) -> Result<Value, ApiError> {
    let now = (call.server.clock)();
    with_request(call, &options.manager, now, |request| {
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

/// A patch that cannot be applied.
pub(crate) fn patch_error(error: &PatchError) -> ApiError {
    match error.code() {
        400 => ApiError::bad_request(error.to_string()),
        413 => ApiError::too_many_operations(error.to_string()),
        _ => ApiError::unprocessable(error.to_string()),
    }
}

/// A write that changes only times of managed fields changes nothing.
pub(crate) fn keep_times(object: &mut Value, live: &Value) {
    fieldmanager::keep_timestamps_if_unchanged(live, object);
}
