//! Reads one object.

use super::context::{HandlerResponse, RequestContext, ResponsePayload};
use crate::revision;
use crate::status::ApiError;

pub(crate) fn get(call: &RequestContext) -> Result<HandlerResponse, ApiError> {
    if let Some(asked) = call.query.get("resourceVersion") {
        let asked = revision::parse(asked)?;
        let current = call.server.store.revision();
        if asked > current {
            return Err(ApiError::too_large_resource_version(asked, current));
        }
    }
    let name = call.name();
    let snapshot = call.server.store.snapshot();
    let record = snapshot
        .get(&call.key(name))
        .ok_or_else(|| call.not_found(name))?;
    match (call.path.subresource.as_deref(), call.resource.custom()) {
        (Some("scale"), Some(_)) => {
            let object = call.load(record)?;
            let scale = super::scale::scale_paths(call)?
                .to_scale(&object)
                .map_err(ApiError::internal)?;
            Ok(HandlerResponse::new(200, ResponsePayload::Plain(scale)))
        }
        _ => Ok(HandlerResponse::new(
            200,
            ResponsePayload::Record(record.clone()),
        )),
    }
}
