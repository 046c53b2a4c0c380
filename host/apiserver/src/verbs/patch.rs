//! Changes one object by a patch: JSON patch, merge patch or server-side
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
use crate::resource::Source;
use crate::status::{ALREADY_EXISTS, ApiError, StatusCause};
use crate::strategic;

/// The kinds of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatchKind {
    JsonPatch,
    MergePatch,
    StrategicMergePatch,
    Apply,
}

fn patch_kind(call: &RequestContext) -> Result<PatchKind, ApiError> {
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "application/json-patch+json" => Ok(PatchKind::JsonPatch),
        "application/merge-patch+json" => Ok(PatchKind::MergePatch),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        "application/strategic-merge-patch+json" if call.resource.is_builtin() => {
            Ok(PatchKind::StrategicMergePatch)
        }
        _ if call.resource.is_builtin() => {
            Err(ApiError::unsupported_media("415: Unsupported Media Type").with_empty_details())
        }
        _ => Err(ApiError::unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

/// `PATCH` of an object.
pub(crate) async fn patch(call: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let form = patch_kind(call)?;
    let options = WriteOptions::parse(call, "PatchOptions", form == PatchKind::Apply)?;
    if form == PatchKind::Apply {
        return apply(call, body, &options).await;
    }
    if form == PatchKind::StrategicMergePatch {
        return strategic_merge_patch(call, body, &options).await;
    }
    let document = decode::parse_json(body)
        .map_err(|why| ApiError::bad_request(format!("error decoding patch: {why}")))?;
    let patch = document.value;
    if form == PatchKind::MergePatch && !patch.is_object() {
        return Err(ApiError::bad_request(
            "error decoding patch: json: cannot unmarshal the body into a map",
        ));
    }
    let patched = |document: &Value| {
        match form {
            PatchKind::JsonPatch => fieldmanager::json_patch(document, &patch),
            _ => fieldmanager::merge_patch(document, &patch),
        }
        .map_err(|error| managed_fields::patch_error(&error))
    };
    if call.path.subresource.as_deref() == Some("scale") {
        return scale::update_scale(call, &options, patched).await;
    }
    update::guaranteed_update(call, &options, UpdateKind::Patch, |live| {
        let patched = patched(live)?;
        decode_patched(call, patched, document.duplicates.clone(), &options)
    })
    .await
}

/// A strategic merge patch of a built-in kind.
async fn strategic_merge_patch(
    call: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document = decode::parse_json(body).map_err(ApiError::bad_request)?;
    let (Some(patch), Source::Builtin(builtin)) =
        (document.value.as_object(), &call.resource.source)
    else {
        return Err(ApiError::bad_request(
            "json: cannot unmarshal the body into a map",
        ));
    };
    update::guaranteed_update(call, options, UpdateKind::Patch, |live| {
        let patched = strategic::apply(live, patch, builtin.kind.schema())
            .map_err(|error| ApiError::untyped(error.to_string()))?;
        decode_patched(call, patched, document.duplicates.clone(), options)
    })
    .await
}

/// 422 about what the patch made of the object.
fn invalid_patch(patched: &Value, why: &str) -> ApiError {
    ApiError::invalid(
        "",
        "",
        "",
        vec![StatusCause::invalid(
            "patch",
            &Value::from(patched.to_string()),
            why,
        )],
    )
}

/// Reads a patched object like one that was sent.
fn decode_patched(
    call: &RequestContext,
    mut patched: Value,
    mut objections: Vec<String>,
    options: &WriteOptions,
) -> Result<ObjectUpdate, ApiError> {
    let kind = &call.resource.kind;
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
    if call.resource.is_builtin() {
        let other = |sent: &str, own: &str| !sent.is_empty() && sent != own;
        if other(&sent_kind, &kind.kind) || other(&sent_version, &kind.api_version()) {
            let why = format!("no kind {sent_kind:?} is registered for version {sent_version:?}");
            return Err(invalid_patch(&patched, &why));
        }
        if let Some(root) = patched.as_object_mut() {
            root.insert("apiVersion".to_owned(), kind.api_version().into());
            root.insert("kind".to_owned(), kind.kind.as_str().into());
        }
    }
    let before = patched.clone();
    objections.extend(
        request_object::prune_and_default(call, &mut patched)
            .map_err(|why| invalid_patch(&before, &why))?,
    );
    if !call.resource.is_builtin() && sent_version != kind.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    let warnings = match options.validation {
        FieldValidation::Strict if !objections.is_empty() => {
            return Err(invalid_patch(
                &before,
                &format!("strict decoding error: {}", objections.join(", ")),
            ));
        }
        FieldValidation::Ignore => Vec::new(),
        _ => objections,
    };
    ensure_name(call, &mut patched)?;
    Ok(ObjectUpdate {
        object: patched,
        warnings,
        applied: false,
    })
}

/// The object must still be the one that the path names.
fn ensure_name(call: &RequestContext, object: &mut Value) -> Result<(), ApiError> {
    let (sent, name) = (meta::text(object, "name"), call.name());
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
    request_object::ensure_namespace(call, object)
}

/// Server-side apply.
async fn apply(
    call: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document = decode::parse_yaml(body)
        .map_err(|why| ApiError::bad_request(format!("error decoding YAML: {why}")))?;
    let mut applied = document.value;
    let kind = &call.resource.kind;
    if call.path.subresource.as_deref() == Some("scale") {
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
        .map_err(|why| request_object::decode_error(call, &kind.kind, &why))?;
    meta::edit(&mut applied, |meta| {
        meta.remove("managedFields");
    });
    if meta::text(&applied, "name").is_empty() {
        let name = call.name().to_owned();
        meta::set(&mut applied, "name", &name);
    }
    ensure_name(call, &mut applied)?;
    let warnings =
        request_object::handle_strict_errors(call, options.validation, document.duplicates)?;
    let key = call.key(call.name());
    if call.server.store.snapshot().get(&key).is_none() {
        if call.path.subresource.is_some() {
            return Err(call.not_found(call.name()));
        }
        match create_applied(call, &applied, options, warnings.clone()).await {
            // Somebody else created it meanwhile: then this is a change.
            Err(error) if error.reason() == ALREADY_EXISTS => {}
            answered => return answered,
        }
    }
    update::guaranteed_update(call, options, UpdateKind::Patch, |live| {
        let object = managed_fields::apply(call, Some(live), &applied, options)?;
        let mut object = object;
        let objections = request_object::prune_and_default(call, &mut object)
            .map_err(|why| ApiError::untyped(why.clone()))?;
        if let (FieldValidation::Strict, Some(first)) = (options.validation, objections.first()) {
            return Err(ApiError::untyped(first.clone()));
        }
        Ok(ObjectUpdate {
            object,
            warnings: warnings.clone(),
            applied: true,
        })
    })
    .await
}

async fn create_applied(
    call: &RequestContext,
    applied: &Value,
    options: &WriteOptions,
    warnings: Vec<String>,
) -> Result<HandlerResponse, ApiError> {
    let uid = meta::text(applied, "uid");
    if !uid.is_empty() {
        // There is no object of that uid, and a new one cannot choose its own.
        let cause = StatusCause::invalid("metadata.uid", &uid.into(), "field is immutable");
        return Err(create::invalid_object(
            call,
            applied,
            vec![cause.clone(), cause],
        ));
    }
    let mut object = managed_fields::apply(call, None, applied, options)?;
    request_object::prune_and_default(call, &mut object)
        .map_err(|why| ApiError::untyped(why.clone()))?;
    let mut answer =
        create::create_object(call, object, options, &create::ManagedFieldsPolicy::Applied).await?;
    answer.warnings.extend(warnings);
    Ok(answer)
}
