//! `PATCH`: JSON patch, JSON merge patch, and strategic merge patch.

use rdd_apiserver_fieldmanager::{self as fieldmanager, GoValue};
use rdd_apiserver_kinds::go_json;
use serde_json::{Map, Value};

use super::apply::apply;
use super::handler_response::HandlerResponse;
use super::managed_fields;
use super::request_object;
use super::scale;
use super::strategic;
use super::update::{self, ObjectUpdate, UpdateKind};
use super::write_options::{FieldValidation, WriteOptions};
use crate::decode;
use crate::json;
use crate::meta;
use crate::request_context::RequestContext;
use crate::status::{ApiError, StatusCause};
use crate::strategy::{NormalizeError, NullPolicy};

/// The kind of a patch, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatchKind {
    JsonPatch,
    MergePatch,
    StrategicMergePatch,
    Apply,
}

fn patch_kind(ctx: &RequestContext) -> Result<PatchKind, ApiError> {
    let content_type = ctx
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "application/json-patch+json" => Ok(PatchKind::JsonPatch),
        "application/merge-patch+json" => Ok(PatchKind::MergePatch),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        "application/strategic-merge-patch+json" if ctx.resource.is_builtin() => {
            Ok(PatchKind::StrategicMergePatch)
        }
        _ if ctx.resource.is_builtin() => {
            Err(ApiError::unsupported_media("415: Unsupported Media Type").with_empty_details())
        }
        _ => Err(ApiError::unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

/// `PATCH` of an object.
///
/// # Errors
/// 400 for a patch that cannot be decoded, 415 for its media type, 422 for a
/// result that is invalid, and the errors of an update.
pub(crate) async fn patch(ctx: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let kind = patch_kind(ctx)?;
    let options = WriteOptions::parse(ctx, "PatchOptions", kind == PatchKind::Apply)?;
    if kind == PatchKind::Apply {
        return apply(ctx, body, &options).await;
    }
    if kind == PatchKind::StrategicMergePatch {
        return strategic_merge_patch(ctx, body, &options).await;
    }
    let document = json::parse(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    let patch = document.value;
    let patched = |document: &Value| {
        match kind {
            PatchKind::JsonPatch => fieldmanager::json_patch(document, &patch),
            _ => fieldmanager::merge_patch(document, &patch),
        }
        .map_err(|error| managed_fields::patch_error(&error))
    };
    if ctx.path.subresource.as_deref() == Some("scale") {
        return scale::update_scale(ctx, &options, patched).await;
    }
    update::guaranteed_update(ctx, &options, UpdateKind::Patch, |live| {
        let patched = patched(live)?;
        decode_patched(ctx, patched, None, document.duplicates.clone(), &options)
    })
    .await
}

/// Applies a strategic merge patch to an object of a built-in kind.
async fn strategic_merge_patch(
    ctx: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document = json::parse(body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    // Null is an empty patch.
    let empty = Value::Object(Map::new());
    let sent = match &document.value {
        Value::Null => &empty,
        value => value,
    };
    let (Value::Object(patch), Some(schema)) = (sent, ctx.resource.strategy().merge_schema())
    else {
        return Err(ApiError::bad_request(go_json::cannot_unmarshal(
            sent,
            "map[string]interface {}",
        )));
    };
    update::guaranteed_update(ctx, options, UpdateKind::Patch, |live| {
        let patched = strategic::apply(live, patch, schema)
            .map_err(|error| ApiError::untyped(error.to_string()))?;
        let duplicates = document.duplicates.clone();
        let quoted = || GoValue(&strategic::quoted_patch(live, sent)).to_string();
        decode_patched(ctx, patched, Some(&quoted), duplicates, options)
    })
    .await
}

/// Returns 422 for the result of a patch. `shown` is what the message quotes.
fn invalid_patch(shown: String, reason: &str) -> ApiError {
    ApiError::invalid(
        "",
        "",
        "",
        vec![StatusCause::invalid("patch", &shown.into(), reason)],
    )
}

/// Returns why a patched object of another kind is no object of the request's kind:
/// it is first decoded as the kind that it names.
fn other_kind_error(ctx: &RequestContext, version: &str, kind: &str, patched: &Value) -> String {
    let expected = &ctx.resource.kind;
    match request_object::find_builtin(version, kind)
        .map(|named| named.decode(&mut patched.clone()))
    {
        Some(Ok(_)) => request_object::unknown_conversion(expected, kind),
        Some(Err(error)) => error.to_string(),
        None => request_object::unknown_kind(version, kind),
    }
}

/// Checks and normalizes the result of a patch, like an object in a body.
/// `quote_patch` returns what messages quote of a strategic merge patch, whose result is
/// converted without JSON; those about other patches quote the result.
fn decode_patched(
    ctx: &RequestContext,
    mut patched: Value,
    quote_patch: Option<&dyn Fn() -> String>,
    mut strict_errors: Vec<String>,
    options: &WriteOptions,
) -> Result<ObjectUpdate, ApiError> {
    let kind = &ctx.resource.kind;
    let text = |key: &str| {
        patched
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (sent_version, sent_kind) = (text("apiVersion"), text("kind"));
    let original = patched.clone();
    let shown = || quote_patch.map_or_else(|| original.to_string(), |quote| quote());
    if !patched.is_object() {
        return Err(invalid_patch(
            shown(),
            "the patched document is not an object",
        ));
    }
    if ctx.resource.is_builtin() {
        let differs = |sent: &str, expected: &str| !sent.is_empty() && sent != expected;
        if quote_patch.is_none()
            && (differs(&sent_kind, &kind.kind) || differs(&sent_version, &kind.api_version()))
        {
            let reason = other_kind_error(ctx, &sent_version, &sent_kind, &patched);
            return Err(invalid_patch(shown(), &reason));
        }
        if let Some(root) = patched.as_object_mut() {
            root.insert("apiVersion".to_owned(), kind.api_version().into());
            root.insert("kind".to_owned(), kind.kind.as_str().into());
        }
    }
    let reason = |error: &NormalizeError| match quote_patch {
        Some(_) => strategic::conversion_message(error),
        None => error.to_string(),
    };
    strict_errors.extend(
        request_object::normalize(ctx, &mut patched, NullPolicy::Remove)
            .map_err(|error| invalid_patch(shown(), &reason(&error)))?,
    );
    if !ctx.resource.is_builtin() && sent_version != kind.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    match options.validation {
        FieldValidation::Strict if !strict_errors.is_empty() => {
            return Err(invalid_patch(
                shown(),
                &decode::strict_message(&strict_errors),
            ));
        }
        FieldValidation::Ignore => {}
        _ => strict_errors
            .into_iter()
            .for_each(|error| ctx.warnings.add(error)),
    }
    ensure_name(ctx, &mut patched)?;
    Ok(ObjectUpdate {
        object: patched,
        is_applied: false,
    })
}

/// Checks that the object is the one that the path names.
pub(super) fn ensure_name(ctx: &RequestContext, object: &mut Value) -> Result<(), ApiError> {
    let (sent, name) = (meta::text(object, "name"), ctx.name());
    if sent.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if sent != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        )));
    }
    request_object::ensure_namespace(ctx, object)
}
