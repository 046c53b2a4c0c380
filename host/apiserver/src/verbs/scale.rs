//! Reads and writes the replica count of a custom resource through its scale
//! subresource.

use serde_json::Value;

use super::context::{HandlerResponse, RequestContext, ResponsePayload};
use super::request_object;
use super::update::{self, ObjectUpdate, UpdateKind};
use super::write_options::WriteOptions;
use crate::decode;
use crate::meta;
use crate::scale_paths::ScalePaths;
use crate::status::ApiError;

/// The scale of the call's version; a version without one has none of its
/// objects there.
pub(crate) fn scale_paths(call: &RequestContext) -> Result<&ScalePaths, ApiError> {
    call.resource
        .custom()
        .and_then(|custom| custom.scale.as_ref())
        .ok_or_else(|| call.not_found(call.name()))
}

/// `PUT` of a scale.
pub(crate) async fn update(
    call: &RequestContext,
    body: &[u8],
) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(call, "UpdateOptions", false)?;
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut scale = decode::parse(decode::accepted_content_type(content_type, None)?, body)
        .map_err(ApiError::bad_request)?
        .value;
    let kind = scale
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !scale.is_object() || !matches!(kind, "" | "Scale") {
        return Err(ApiError::bad_request(format!(
            "no kind {kind:?} is registered for the type v1.Scale"
        )));
    }
    meta::object_meta::decode_object_meta(&mut scale).map_err(ApiError::bad_request)?;
    if meta::text(&scale, "name") != call.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta::text(&scale, "name"),
            call.name()
        )));
    }
    request_object::ensure_namespace(call, &mut scale)?;
    update_scale(call, &options, |_| Ok(scale.clone())).await
}

/// Runs a change of the scale as a change of the object.
pub(crate) async fn update_scale(
    call: &RequestContext,
    options: &WriteOptions,
    make: impl Fn(&Value) -> Result<Value, ApiError> + Send + Sync,
) -> Result<HandlerResponse, ApiError> {
    let paths = scale_paths(call)?;
    let answer = update::guaranteed_update(call, options, UpdateKind::Patch, |live| {
        let shown = paths.to_scale_or_zero(live);
        let object = paths
            .apply_scale(&make(&shown)?, live)
            .map_err(|cause| super::create::invalid_object(call, live, vec![cause]))?;
        Ok(ObjectUpdate {
            object,
            warnings: Vec::new(),
            applied: false,
        })
    })
    .await?;
    let object = match answer.payload {
        ResponsePayload::Record(record) => call.load(&record)?,
        ResponsePayload::Object(object) | ResponsePayload::Plain(object) => object,
    };
    Ok(HandlerResponse {
        code: answer.code,
        payload: ResponsePayload::Plain(paths.to_scale_or_zero(&object)),
        warnings: answer.warnings,
    })
}
