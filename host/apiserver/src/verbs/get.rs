//! Reads one object.

use super::call::{Answer, Call, Shown};
use crate::revision;
use crate::status::ApiError;

pub(crate) fn get(call: &Call) -> Result<Answer, ApiError> {
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
            let scale = super::scale::paths(call)?
                .show(&object)
                .map_err(ApiError::internal)?;
            Ok(Answer::new(200, Shown::Plain(scale)))
        }
        _ => Ok(Answer::new(200, Shown::Stored(record.clone()))),
    }
}
