//! Reads and writes the replica count of a custom resource through its scale
//! subresource.

use serde_json::Value;

use super::call::{Answer, Call, Shown};
use super::object;
use super::options::WriteOptions;
use super::update::{self, Changed, Verb};
use crate::decode;
use crate::meta;
use crate::scale::ScalePaths;
use crate::status::ApiError;

/// The scale of the call's version; a version without one has none of its
/// objects there.
pub(crate) fn paths(call: &Call) -> Result<&ScalePaths, ApiError> {
    call.resource
        .custom()
        .and_then(|custom| custom.scale.as_ref())
        .ok_or_else(|| call.not_found(call.name()))
}

/// `PUT` of a scale.
pub(crate) async fn update(call: &Call, body: &[u8]) -> Result<Answer, ApiError> {
    let options = WriteOptions::read(call, "UpdateOptions", false)?;
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut scale = decode::parse(decode::accepted(content_type, None)?, body)
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
    meta::decode::read(&mut scale).map_err(ApiError::bad_request)?;
    if meta::text(&scale, "name") != call.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta::text(&scale, "name"),
            call.name()
        )));
    }
    object::namespace(call, &mut scale)?;
    change(call, &options, |_| Ok(scale.clone())).await
}

/// Runs a change of the scale as a change of the object.
pub(crate) async fn change(
    call: &Call,
    options: &WriteOptions,
    make: impl Fn(&Value) -> Result<Value, ApiError> + Send + Sync,
) -> Result<Answer, ApiError> {
    let paths = paths(call)?;
    let answer = update::change(call, options, Verb::Patch, |live| {
        let shown = paths.show_or_zero(live);
        let object = paths
            .put(&make(&shown)?, live)
            .map_err(|cause| super::create::invalid(call, live, vec![cause]))?;
        Ok(Changed {
            object,
            warnings: Vec::new(),
            applied: false,
        })
    })
    .await?;
    let object = match answer.shown {
        Shown::Stored(record) => call.load(&record)?,
        Shown::Object(object) | Shown::Plain(object) => object,
    };
    Ok(Answer {
        code: answer.code,
        shown: Shown::Plain(paths.show_or_zero(&object)),
        warnings: answer.warnings,
    })
}
