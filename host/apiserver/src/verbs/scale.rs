//! The scale subresource: reads and writes the replica count of a custom
//! resource.

use serde_json::Value;

use super::handler_response::{HandlerResponse, ResponsePayload};
use super::request_object;
use super::update::{self, ObjectUpdate, UpdateKind};
use super::write_options::WriteOptions;
use crate::decode;
use crate::meta;
use crate::request_context::RequestContext;
use crate::scale_paths::ScalePaths;
use crate::status::ApiError;

/// Returns the scale paths of the request's version.
///
/// # Errors
/// 404 if the version has no scale subresource.
pub(crate) fn scale_paths(ctx: &RequestContext) -> Result<&ScalePaths, ApiError> {
    ctx.resource
        .custom()
        .and_then(|custom| custom.scale.as_ref())
        .ok_or_else(|| ctx.not_found(ctx.name()))
}

/// `PUT` of a scale.
///
/// # Errors
/// 400 for a body that is not a `Scale` of this object, and the errors of an
/// update.
pub(crate) async fn update(ctx: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(ctx, "UpdateOptions", false)?;
    let content_type = ctx
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut scale = decode::parse(decode::accepted_content_type(content_type, None)?, body)
        .map_err(|error| ApiError::bad_request(error.to_string()))?
        .value;
    let kind = scale
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !scale.is_object() || !matches!(kind, "" | "Scale") {
        return Err(ApiError::bad_request(format!(
            "no kind is registered for the type v1.Scale in scheme \"{}\"",
            request_object::SCHEME
        )));
    }
    meta::object_meta::decode_object_meta(&mut scale)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    if meta::text(&scale, "name") != ctx.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta::text(&scale, "name"),
            ctx.name()
        )));
    }
    request_object::ensure_namespace(ctx, &mut scale)?;
    update_scale(ctx, &options, |_| Ok(scale.clone())).await
}

/// Updates the scale by an update of the object.
///
/// # Errors
/// The errors of `make` and of an update, 422 for a negative replica count.
pub(crate) async fn update_scale(
    ctx: &RequestContext,
    options: &WriteOptions,
    make: impl Fn(&Value) -> Result<Value, ApiError> + Send + Sync,
) -> Result<HandlerResponse, ApiError> {
    let paths = scale_paths(ctx)?;
    let response = update::guaranteed_update(ctx, options, UpdateKind::Patch, |live| {
        let scale = paths.to_scale_or_zero(live);
        let object = paths
            .apply_scale(&make(&scale)?, live)
            .map_err(|cause| super::create::invalid_object(ctx, live, vec![cause]))?;
        Ok(ObjectUpdate {
            object,
            is_applied: false,
        })
    })
    .await?;
    let object = match response.payload {
        ResponsePayload::Record(record) => ctx.load(&record)?,
        ResponsePayload::Object(object) | ResponsePayload::Plain(object) => object,
    };
    let payload = ResponsePayload::Plain(paths.to_scale_or_zero(&object));
    Ok(HandlerResponse::new(response.code, payload))
}
