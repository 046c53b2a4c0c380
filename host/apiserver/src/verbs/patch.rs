//! Changes one object by a patch: JSON patch, merge patch or server-side
//! apply.

use rdd_apiserver_fieldmanager as fieldmanager;
use serde_json::Value;

use super::call::{Answer, Call};
use super::create;
use super::object;
use super::options::{Validation, WriteOptions};
use super::scale;
use super::update::{self, Changed, Verb};
use crate::decode;
use crate::managed;
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ALREADY_EXISTS, ApiError, StatusCause};
use crate::strategic;

/// The kinds of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Merge,
    Strategic,
    Apply,
}

fn form(call: &Call) -> Result<Form, ApiError> {
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "application/json-patch+json" => Ok(Form::Json),
        "application/merge-patch+json" => Ok(Form::Merge),
        "application/apply-patch+yaml" => Ok(Form::Apply),
        "application/strategic-merge-patch+json" if call.resource.is_builtin() => {
            Ok(Form::Strategic)
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
pub(crate) async fn patch(call: &Call, body: &[u8]) -> Result<Answer, ApiError> {
    let form = form(call)?;
    let options = WriteOptions::read(call, "PatchOptions", form == Form::Apply)?;
    if form == Form::Apply {
        return apply(call, body, &options).await;
    }
    if form == Form::Strategic {
        return strategic(call, body, &options).await;
    }
    let document = decode::parse_json(body)
        .map_err(|why| ApiError::bad_request(format!("error decoding patch: {why}")))?;
    let patch = document.value;
    if form == Form::Merge && !patch.is_object() {
        return Err(ApiError::bad_request(
            "error decoding patch: json: cannot unmarshal the body into a map",
        ));
    }
    let patched = |document: &Value| {
        match form {
            Form::Json => fieldmanager::json_patch(document, &patch),
            _ => fieldmanager::merge_patch(document, &patch),
        }
        .map_err(|error| managed::patch_error(&error))
    };
    if call.path.subresource.as_deref() == Some("scale") {
        return scale::change(call, &options, patched).await;
    }
    update::change(call, &options, Verb::Patch, |live| {
        let patched = patched(live)?;
        finish(call, patched, document.duplicates.clone(), &options)
    })
    .await
}

/// A strategic merge patch of a built-in kind.
async fn strategic(call: &Call, body: &[u8], options: &WriteOptions) -> Result<Answer, ApiError> {
    let document = decode::parse_json(body).map_err(ApiError::bad_request)?;
    let (Some(patch), ResourceStrategy::Builtin(builtin)) =
        (document.value.as_object(), &call.resource.strategy)
    else {
        return Err(ApiError::bad_request(
            "json: cannot unmarshal the body into a map",
        ));
    };
    update::change(call, options, Verb::Patch, |live| {
        let patched = strategic::apply(live, patch, builtin.kind.schema())
            .map_err(|error| ApiError::untyped(error.to_string()))?;
        finish(call, patched, document.duplicates.clone(), options)
    })
    .await
}

/// 422 about what the patch made of the object.
fn patched_invalid(patched: &Value, why: &str) -> ApiError {
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
fn finish(
    call: &Call,
    mut patched: Value,
    mut objections: Vec<String>,
    options: &WriteOptions,
) -> Result<Changed, ApiError> {
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
        return Err(patched_invalid(
            &patched,
            "the patched document is not an object",
        ));
    }
    if call.resource.is_builtin() {
        let other = |sent: &str, own: &str| !sent.is_empty() && sent != own;
        if other(&sent_kind, &kind.kind) || other(&sent_version, &kind.api_version()) {
            let why = format!("no kind {sent_kind:?} is registered for version {sent_version:?}");
            return Err(patched_invalid(&patched, &why));
        }
        if let Some(root) = patched.as_object_mut() {
            root.insert("apiVersion".to_owned(), kind.api_version().into());
            root.insert("kind".to_owned(), kind.kind.as_str().into());
        }
    }
    let before = patched.clone();
    objections
        .extend(object::clean(call, &mut patched).map_err(|why| patched_invalid(&before, &why))?);
    if !call.resource.is_builtin() && sent_version != kind.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    let warnings = match options.validation {
        Validation::Strict if !objections.is_empty() => {
            return Err(patched_invalid(
                &before,
                &format!("strict decoding error: {}", objections.join(", ")),
            ));
        }
        Validation::Ignore => Vec::new(),
        _ => objections,
    };
    named(call, &mut patched)?;
    Ok(Changed {
        object: patched,
        warnings,
        applied: false,
    })
}

/// The object must still be the one that the path names.
fn named(call: &Call, object: &mut Value) -> Result<(), ApiError> {
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
    object::namespace(call, object)
}

/// Server-side apply.
async fn apply(call: &Call, body: &[u8], options: &WriteOptions) -> Result<Answer, ApiError> {
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
    meta::decode::read(&mut applied).map_err(|why| object::unhandled(call, &kind.kind, &why))?;
    meta::edit(&mut applied, |meta| {
        meta.remove("managedFields");
    });
    if meta::text(&applied, "name").is_empty() {
        let name = call.name().to_owned();
        meta::set(&mut applied, "name", &name);
    }
    named(call, &mut applied)?;
    let warnings = object::strict(call, options.validation, document.duplicates)?;
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
    update::change(call, options, Verb::Patch, |live| {
        let object = managed::apply(call, Some(live), &applied, options)?;
        let mut object = object;
        let objections =
            object::clean(call, &mut object).map_err(|why| ApiError::untyped(why.clone()))?;
        if let (Validation::Strict, Some(first)) = (options.validation, objections.first()) {
            return Err(ApiError::untyped(first.clone()));
        }
        Ok(Changed {
            object,
            warnings: warnings.clone(),
            applied: true,
        })
    })
    .await
}

async fn create_applied(
    call: &Call,
    applied: &Value,
    options: &WriteOptions,
    warnings: Vec<String>,
) -> Result<Answer, ApiError> {
    let uid = meta::text(applied, "uid");
    if !uid.is_empty() {
        // There is no object of that uid, and a new one cannot choose its own.
        let cause = StatusCause::invalid("metadata.uid", &uid.into(), "field is immutable");
        return Err(create::invalid(call, applied, vec![cause.clone(), cause]));
    }
    let mut object = managed::apply(call, None, applied, options)?;
    object::clean(call, &mut object).map_err(|why| ApiError::untyped(why.clone()))?;
    let mut answer = create::insert(call, object, options, &create::Managed::Applied).await?;
    answer.warnings.extend(warnings);
    Ok(answer)
}
