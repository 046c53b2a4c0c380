//! `GET` of one object.

use super::handler_response::{HandlerResponse, ResponsePayload};
use crate::request_context::RequestContext;
use crate::revision;
use crate::status::ApiError;

/// `GET` of an object or of its scale.
///
/// # Errors
/// 404, or 504 if `resourceVersion` is greater than the current revision.
pub(crate) fn get(ctx: &RequestContext) -> Result<HandlerResponse, ApiError> {
    if let Some(text) = ctx.query.get("resourceVersion") {
        let requested = revision::parse(text)?;
        let current = ctx.server.store.revision();
        if requested > current {
            return Err(ApiError::too_large_resource_version(requested, current));
        }
    }
    let name = ctx.name();
    let snapshot = ctx.server.store.snapshot();
    let record = snapshot
        .get(&ctx.key(name))
        .ok_or_else(|| ctx.not_found(name))?;
    match (ctx.path.subresource.as_deref(), ctx.resource.custom()) {
        (Some("scale"), Some(_)) => {
            let object = ctx.load(record)?;
            let scale = super::scale::scale_paths(ctx)?
                .to_scale(&object)
                .map_err(|error| ApiError::internal(error.to_string()))?;
            Ok(HandlerResponse::new(200, ResponsePayload::Plain(scale)))
        }
        _ => Ok(HandlerResponse::new(
            200,
            ResponsePayload::Record(record.clone()),
        )),
    }
}
