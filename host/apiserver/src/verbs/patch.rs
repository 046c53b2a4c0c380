//! `PATCH`: JSON patch, JSON merge patch, strategic merge patch, and server-side
//! apply.

use rdd_apiserver_fieldmanager as fieldmanager;
use serde_json::Value;

use super::context::{HandlerResponse, RequestContext};
use super::create;
use super::request_object;
use super::scale;
use super::update::{self, ObjectUpdate, UpdateKind};
use super::write_options::{FieldValidation, WriteOptions};
use crate::decode;
use crate::managed_fields;
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ALREADY_EXISTS, ApiError, StatusCause};
use crate::strategic;

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
    let document = decode::parse_json(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    let patch = document.value;
    if kind == PatchKind::MergePatch && !patch.is_object() {
        return Err(ApiError::bad_request(
            "error decoding patch: json: cannot unmarshal the body into a map",
        ));
    }
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
        decode_patched(ctx, patched, document.duplicates.clone(), &options)
    })
    .await
}

/// Applies a strategic merge patch to an object of a built-in kind.
async fn strategic_merge_patch(
    ctx: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document =
        decode::parse_json(body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let (Some(patch), ResourceStrategy::Builtin(builtin)) =
        (document.value.as_object(), &ctx.resource.strategy)
    else {
        return Err(ApiError::bad_request(
            "json: cannot unmarshal the body into a map",
        ));
    };
    update::guaranteed_update(ctx, options, UpdateKind::Patch, |live| {
        let patched = strategic::apply(live, patch, builtin.kind.schema())
            .map_err(|error| ApiError::untyped(error.to_string()))?;
        decode_patched(ctx, patched, document.duplicates.clone(), options)
    })
    .await
}

/// Returns 422 for the result of a patch.
fn invalid_patch(patched: &Value, reason: &str) -> ApiError {
    ApiError::invalid(
        "",
        "",
        "",
        vec![StatusCause::invalid(
            "patch",
            &Value::from(patched.to_string()),
            reason,
        )],
    )
}

/// Checks and normalizes the result of a patch, like an object in a body.
fn decode_patched(
    ctx: &RequestContext,
    mut patched: Value,
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
    if !patched.is_object() {
        return Err(invalid_patch(
            &patched,
            "the patched document is not an object",
        ));
    }
    if ctx.resource.is_builtin() {
        let differs = |sent: &str, expected: &str| !sent.is_empty() && sent != expected;
        if differs(&sent_kind, &kind.kind) || differs(&sent_version, &kind.api_version()) {
            let reason =
                format!("no kind {sent_kind:?} is registered for version {sent_version:?}");
            return Err(invalid_patch(&patched, &reason));
        }
        if let Some(root) = patched.as_object_mut() {
            root.insert("apiVersion".to_owned(), kind.api_version().into());
            root.insert("kind".to_owned(), kind.kind.as_str().into());
        }
    }
    let original = patched.clone();
    strict_errors.extend(
        request_object::normalize(ctx, &mut patched)
            .map_err(|error| invalid_patch(&original, &error.to_string()))?,
    );
    if !ctx.resource.is_builtin() && sent_version != kind.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    let warnings = match options.validation {
        FieldValidation::Strict if !strict_errors.is_empty() => {
            return Err(invalid_patch(
                &original,
                &format!("strict decoding error: {}", strict_errors.join(", ")),
            ));
        }
        FieldValidation::Ignore => Vec::new(),
        _ => strict_errors,
    };
    ensure_name(ctx, &mut patched)?;
    Ok(ObjectUpdate {
        object: patched,
        warnings,
        is_applied: false,
    })
}

/// Checks that the object is the one that the path names.
fn ensure_name(ctx: &RequestContext, object: &mut Value) -> Result<(), ApiError> {
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

/// Applies a configuration (server-side apply), and creates the object if it does
/// not exist.
async fn apply(
    ctx: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document = decode::parse_yaml(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
    let mut applied = document.value;
    let kind = &ctx.resource.kind;
    if ctx.path.subresource.as_deref() == Some("scale") {
        return Err(ApiError::unsupported_media(
            "the body of the request was in an unknown format - accepted media types of scale include: application/json-patch+json, application/merge-patch+json",
        ));
    }
    if !applied.is_object() {
        return Err(ApiError::bad_request(
            "error decoding YAML: the body is not an object",
        ));
    }
    let text = |key: &str| {
        applied
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (sent_version, sent_kind) = (text("apiVersion"), text("kind"));
    if sent_kind.is_empty() {
        return Err(ApiError::bad_request(
            "Object 'Kind' is missing in the applied configuration",
        ));
    }
    if sent_version != kind.api_version() || sent_kind != kind.kind {
        return Err(ApiError::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {sent_version}, Kind={sent_kind}, expected: {}, Kind={}",
            kind.api_version(),
            kind.kind
        )));
    }
    if applied
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    meta::object_meta::decode_object_meta(&mut applied)
        .map_err(|error| request_object::decode_error(ctx, &kind.kind, error))?;
    meta::edit(&mut applied, |meta| {
        meta.remove("managedFields");
    });
    if meta::text(&applied, "name").is_empty() {
        let name = ctx.name().to_owned();
        meta::set(&mut applied, "name", &name);
    }
    ensure_name(ctx, &mut applied)?;
    let warnings =
        request_object::handle_strict_errors(ctx, options.validation, document.duplicates)?;
    let key = ctx.key(ctx.name());
    if ctx.server.store.snapshot().get(&key).is_none() {
        if ctx.path.subresource.is_some() {
            return Err(ctx.not_found(ctx.name()));
        }
        match create_applied(ctx, &applied, options, warnings.clone()).await {
            // Another writer has created it meanwhile: update it.
            Err(error) if error.reason() == ALREADY_EXISTS => {}
            result => return result,
        }
    }
    update::guaranteed_update(ctx, options, UpdateKind::Patch, |live| {
        let mut object = managed_fields::apply(ctx, Some(live), &applied, options)?;
        let strict_errors = request_object::normalize(ctx, &mut object)
            .map_err(|error| ApiError::untyped(error.to_string()))?;
        if let (FieldValidation::Strict, Some(first)) = (options.validation, strict_errors.first())
        {
            return Err(ApiError::untyped(first.clone()));
        }
        Ok(ObjectUpdate {
            object,
            warnings: warnings.clone(),
            is_applied: true,
        })
    })
    .await
}

async fn create_applied(
    ctx: &RequestContext,
    applied: &Value,
    options: &WriteOptions,
    warnings: Vec<String>,
) -> Result<HandlerResponse, ApiError> {
    let uid = meta::text(applied, "uid");
    if !uid.is_empty() {
        // No object has this uid, and a new one gets its uid from the server.
        let cause = StatusCause::invalid("metadata.uid", &uid.into(), "field is immutable");
        return Err(create::invalid_object(
            ctx,
            applied,
            vec![cause.clone(), cause],
        ));
    }
    let mut object = managed_fields::apply(ctx, None, applied, options)?;
    request_object::normalize(ctx, &mut object)
        .map_err(|error| ApiError::untyped(error.to_string()))?;
    let mut response =
        create::create_object(ctx, object, options, &create::ManagedFieldsPolicy::Applied).await?;
    response.warnings.extend(warnings);
    Ok(response)
}
