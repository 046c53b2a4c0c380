//! The object in a request body: decoded, checked, normalized, validated.

use std::fmt::Display;

use rdd_apiserver_kinds::builtin::BuiltinKind;
use rdd_apiserver_kinds::{ResourceKind, builtin, go_json};
use serde_json::{Map, Value};

use super::write_options::FieldValidation;
use crate::decode::{self, DecodeError, ExpectedKind};
use crate::encode::EncodedObject;
use crate::json::{DecodedBody, JsonError};
use crate::limits;
use crate::meta;
use crate::request_context::RequestContext;
use crate::status::{ApiError, StatusCause};
use crate::strategy::{NormalizeError, NullPolicy};

/// A decoded object, with the errors that strict field validation reports.
pub(crate) struct RequestObject {
    pub(crate) object: Value,
    pub(crate) strict_errors: Vec<String>,
}

/// Returns 400 for an object with fields of the wrong type.
pub(crate) fn decode_error(ctx: &RequestContext, kind: &str, reason: impl Display) -> ApiError {
    ApiError::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {}: {reason}",
        ctx.resource.kind.version, ctx.resource.kind.kind
    ))
}

/// Decodes the body of a create or update.
///
/// # Errors
/// 415 for an unsupported media type, 400 for a body that cannot be decoded or that
/// has another type.
pub(crate) fn decode_body(ctx: &RequestContext, body: &[u8]) -> Result<RequestObject, ApiError> {
    let content_type = ctx
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = &ctx.resource.kind;
    let api_version = kind.api_version();
    let expected = ctx.resource.is_builtin().then_some(ExpectedKind {
        api_version: &api_version,
        kind: &kind.kind,
    });
    let content_type = decode::accepted_content_type(content_type, expected)?;
    let unrecognized = |reason: String| {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {reason} ({})",
            kind.kind,
            summarize(body)
        ))
    };
    let DecodedBody {
        mut value,
        duplicates,
    } = decode::parse(content_type, body).map_err(|error| match error {
        DecodeError::Json(error @ JsonError::NumberRange(_)) => {
            decode_error(ctx, &kind.kind, error)
        }
        error => unrecognized(decode::unreadable(&error)),
    })?;
    if let Some(reason) = go_json::type_meta_error(&value) {
        return Err(unrecognized(decode::unreadable_type(&reason)));
    }
    if value.is_null() {
        value = Value::Object(Map::new());
    }
    check_type_meta(ctx, &mut value, body, &unrecognized)?;
    let mut strict_errors = duplicates;
    strict_errors.extend(
        normalize(ctx, &mut value, NullPolicy::Remove)
            .map_err(|error| decode_error(ctx, &kind.kind, error))?,
    );
    Ok(RequestObject {
        object: value,
        strict_errors,
    })
}

/// Returns the beginning of a body as messages show it: an object as text,
/// anything else in hexadecimal digits.
fn summarize(body: &[u8]) -> String {
    /// What kube-apiserver shows.
    const MAX_BYTES: usize = 30;
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let shown = body.get(..MAX_BYTES).unwrap_or(body);
    let mut out = if body.starts_with(b"{") {
        String::from_utf8_lossy(shown).into_owned()
    } else {
        shown.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    if shown.len() < body.len() {
        out.push_str(" ...");
    }
    out
}

/// What messages name as the collection of known kinds.
pub(crate) const SCHEME: &str = "rdd-apiserver";

/// Returns the message for a kind that is not built in.
pub(crate) fn unknown_kind(api_version: &str, kind: &str) -> String {
    format!("no kind {kind:?} is registered for version {api_version:?} in scheme \"{SCHEME}\"")
}

/// Returns the message for an object of another kind than the request's.
pub(crate) fn unknown_conversion(expected: &ResourceKind, sent_kind: &str) -> String {
    // The Go package of the internal type: events of both groups share one.
    let package = match expected.group.as_str() {
        "" | "events.k8s.io" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!(
        "converting ({}.{sent_kind}) to ({package}.{}): unknown conversion",
        expected.version, expected.kind
    )
}

fn or_default<'t>(text: &'t str, default: &'t str) -> &'t str {
    if text.is_empty() { default } else { text }
}

/// Returns the built-in kind that a body names.
pub(crate) fn find_builtin(api_version: &str, kind: &str) -> Option<&'static BuiltinKind> {
    builtin::kinds()
        .iter()
        .find(|known| known.kind.kind == kind && known.kind.api_version() == api_version)
}

/// Checks `apiVersion` and `kind`, and sets those of a built-in kind.
fn check_type_meta(
    ctx: &RequestContext,
    value: &mut Value,
    body: &[u8],
    unrecognized: &impl Fn(String) -> ApiError,
) -> Result<(), ApiError> {
    let expected = &ctx.resource.kind;
    let api_version = expected.api_version();
    let sent_kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let sent_version = value
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if ctx.resource.is_builtin() {
        let version = or_default(&sent_version, &api_version);
        let kind = or_default(&sent_kind, &expected.kind);
        if find_builtin(version, kind).is_none() {
            let version_part = version.rsplit('/').next().unwrap_or_default();
            return Err(ApiError::bad_request(format!(
                "{kind} in version {version_part:?} cannot be handled as a {}: {}",
                expected.kind,
                unknown_kind(version, kind)
            )));
        }
        if version != api_version {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({sent_version}) does not match the expected API version ({api_version})"
            )));
        }
        if kind != expected.kind {
            return Err(decode_error(ctx, kind, unknown_conversion(expected, kind)));
        }
        if let Some(root) = value.as_object_mut() {
            root.insert("apiVersion".to_owned(), api_version.into());
            root.insert("kind".to_owned(), expected.kind.as_str().into());
        }
        return Ok(());
    }
    if sent_kind.is_empty() {
        return Err(unrecognized(format!(
            "Object 'Kind' is missing in '{}'",
            String::from_utf8_lossy(body)
        )));
    }
    if sent_version != api_version {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({api_version})"
        )));
    }
    Ok(())
}

/// Normalizes an object before it is validated: decodes its metadata, prunes
/// unknown fields, and sets defaults. Returns the errors that strict field
/// validation reports.
///
/// # Errors
/// A field has the wrong type.
pub(crate) fn normalize(
    ctx: &RequestContext,
    object: &mut Value,
    nulls: NullPolicy,
) -> Result<Vec<String>, NormalizeError> {
    let kind = &ctx.resource.kind.kind;
    let mut unknown = meta::object_meta::decode_object_meta(object).map_err(|error| {
        if ctx.resource.is_builtin() {
            error.within(kind)
        } else {
            error
        }
    })?;
    unknown.extend(ctx.resource.strategy().normalize(object, nulls)?);
    meta::drop_empty_fields(object);
    unknown.sort();
    unknown.dedup();
    unknown.truncate(limits::MAX_REPORTED_FIELDS);
    Ok(unknown
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect())
}

/// Turns the errors of strict field validation into warnings, into an error, or
/// drops them, as `fieldValidation` requires.
///
/// # Errors
/// 400 with all of them for `Strict`.
pub(crate) fn handle_strict_errors(
    ctx: &RequestContext,
    validation: FieldValidation,
    strict_errors: Vec<String>,
) -> Result<(), ApiError> {
    match validation {
        _ if strict_errors.is_empty() => Ok(()),
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            strict_errors
                .into_iter()
                .for_each(|error| ctx.warnings.add(error));
            Ok(())
        }
        FieldValidation::Strict => Err(decode_error(
            ctx,
            &ctx.resource.kind.kind,
            decode::strict_message(&strict_errors),
        )),
    }
}

/// Sets the namespace of the path in the object.
///
/// # Errors
/// 400 if the object names another namespace.
pub(crate) fn ensure_namespace(ctx: &RequestContext, object: &mut Value) -> Result<(), ApiError> {
    let sent = meta::text(object, "namespace").to_owned();
    match ctx.namespace() {
        Some(namespace) if sent.is_empty() || sent == namespace => {
            meta::set(object, "namespace", namespace);
            Ok(())
        }
        // A cluster-scoped object: a namespace in the body is ignored.
        None => {
            meta::set(object, "namespace", "");
            Ok(())
        }
        Some(_) => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// Adds the kind's warnings about a valid object.
pub(crate) fn warn_about(ctx: &RequestContext, object: &Value) {
    for text in ctx.resource.strategy().warnings(object) {
        ctx.warnings.add(text);
    }
}

/// Encodes an object for the store.
///
/// # Errors
/// 413 for an object that is too large: patches and defaults add to the body.
pub(crate) fn encode_object(
    ctx: &RequestContext,
    object: &Value,
) -> Result<EncodedObject, ApiError> {
    let encoded = ctx.resource.storable(object);
    if encoded.len() > limits::MAX_OBJECT_BYTES {
        return Err(ApiError::too_large_object(encoded.len()));
    }
    Ok(encoded)
}

/// Returns each cause twice. kube-apiserver validates the metadata of an update
/// once for all kinds and once for the kind, and so reports each cause twice;
/// clients that count causes get the same number here.
fn repeat_causes(causes: Vec<StatusCause>) -> Vec<StatusCause> {
    let mut out = causes.clone();
    out.extend(causes);
    out
}

/// Validates the metadata and the fields of an object, for an update against the
/// old one. Returns a cause for each error.
pub(crate) fn validate(ctx: &RequestContext, new: &Value, old: Option<&Value>) -> Vec<StatusCause> {
    let kind = &ctx.resource.kind;
    let mut causes = Vec::new();
    let sent = new.get("kind").and_then(Value::as_str).unwrap_or_default();
    // The kind of a built-in one was checked when it was decoded.
    if !ctx.resource.is_builtin() && sent != kind.kind {
        causes.push(StatusCause::invalid(
            "kind",
            &sent.into(),
            &format!("must be {}", kind.kind),
        ));
    }
    causes.extend(meta::validate::validate_metadata(
        new,
        ctx.resource.name_rule,
        kind.namespaced,
    ));
    if let Some(old) = old {
        causes.extend(repeat_causes(meta::validate::validate_metadata_update(
            new, old,
        )));
    }
    let subresource = ctx.path.subresource.as_deref();
    causes.extend(ctx.resource.strategy().validate(new, old, subresource));
    causes
}

/// Checks the limits of an object before it is stored.
///
/// # Errors
/// 400 with the limit that the object exceeds.
pub(super) fn check_limits(object: &Value) -> Result<(), ApiError> {
    limits::check(object)
        .map_err(|error| ApiError::bad_request(format!("the object cannot be stored: {error}")))
}
