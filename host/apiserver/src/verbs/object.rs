//! The object in a request body: decoded, identified, cleaned.

use serde_json::Value;

use super::call::Call;
use super::options::Validation;
use crate::decode::{self, Document, Expected};
use crate::encode::Storable;
use crate::limits;
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ApiError, StatusCause};

/// An object and what strict validation objects to.
pub(crate) struct Sent {
    pub(crate) object: Value,
    pub(crate) strict: Vec<String>,
}

/// How the caller words what is wrong with an object's types.
pub(crate) fn unhandled(call: &Call, kind: &str, why: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {}: {why}",
        call.resource.kind.version, call.resource.kind.kind
    ))
}

/// Decodes the body of a create or update.
pub(crate) fn read(call: &Call, body: &[u8]) -> Result<Sent, ApiError> {
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = &call.resource.kind;
    let api_version = kind.api_version();
    let expected = call.resource.is_builtin().then_some(Expected {
        api_version: &api_version,
        kind: &kind.kind,
    });
    let syntax = decode::accepted(content_type, expected)?;
    let unrecognized = |why: String| {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why}",
            kind.kind
        ))
    };
    let Document {
        mut value,
        duplicates,
    } = decode::parse(syntax, body)
        .map_err(|why| unrecognized(decode::unreadable(syntax, &why)))?;
    if !value.is_object() {
        return Err(unrecognized(
            "couldn't get version/kind; json parse error: the body is not an object".to_owned(),
        ));
    }
    type_of(call, &mut value, &unrecognized)?;
    let mut strict = duplicates;
    strict.extend(clean(call, &mut value).map_err(|why| unhandled(call, &kind.kind, &why))?);
    Ok(Sent {
        object: value,
        strict,
    })
}

/// Checks `apiVersion` and `kind`.
fn type_of(
    call: &Call,
    value: &mut Value,
    unrecognized: &impl Fn(String) -> ApiError,
) -> Result<(), ApiError> {
    let expected = &call.resource.kind;
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
    if call.resource.is_builtin() {
        if !sent_version.is_empty() && sent_version != api_version {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({sent_version}) does not match the expected API version ({api_version})"
            )));
        }
        if !sent_kind.is_empty() && sent_kind != expected.kind {
            return Err(unhandled(
                call,
                &sent_kind,
                &format!(
                    "converting ({}.{sent_kind}) to ({}): unknown conversion",
                    expected.version, expected.kind
                ),
            ));
        }
        if let Some(root) = value.as_object_mut() {
            root.insert("apiVersion".to_owned(), api_version.into());
            root.insert("kind".to_owned(), expected.kind.as_str().into());
        }
        return Ok(());
    }
    if sent_kind.is_empty() {
        return Err(unrecognized(format!(
            "Object 'Kind' is missing in '{value}'"
        )));
    }
    if sent_version != api_version {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({api_version})"
        )));
    }
    Ok(())
}

/// Brings an object into the shape in which it is judged: typed metadata,
/// unknown fields removed, defaults filled in. Gives what strict validation
/// objects to; the error is a sentence about a wrong type.
pub(crate) fn clean(call: &Call, object: &mut Value) -> Result<Vec<String>, String> {
    let mut unknown = meta::decode::read(object)?;
    match &call.resource.strategy {
        ResourceStrategy::Builtin(builtin) => {
            unknown.extend(builtin.decode(object)?);
        }
        ResourceStrategy::Custom(custom) => {
            custom
                .schema
                .check_metadata(object)
                .map_err(|error| error.to_string())?;
            unknown.extend(custom.schema.prune(object));
            custom.schema.apply_defaults(object);
        }
    }
    meta::tidy(object);
    unknown.sort();
    unknown.dedup();
    unknown.truncate(limits::MAX_REPORTED_FIELDS);
    Ok(unknown
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect())
}

/// What becomes of strict validation's objections: warnings, an error or
/// nothing.
pub(crate) fn strict(
    call: &Call,
    validation: Validation,
    objections: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    match validation {
        _ if objections.is_empty() => Ok(Vec::new()),
        Validation::Ignore => Ok(Vec::new()),
        Validation::Warn => Ok(objections),
        Validation::Strict => Err(unhandled(
            call,
            &call.resource.kind.kind,
            &format!("strict decoding error: {}", objections.join(", ")),
        )),
    }
}

/// Puts the namespace of the path into the object, or refuses another one.
pub(crate) fn namespace(call: &Call, object: &mut Value) -> Result<(), ApiError> {
    let sent = meta::text(object, "namespace").to_owned();
    match call.namespace() {
        Some(namespace) if sent.is_empty() || sent == namespace => {
            meta::set(object, "namespace", namespace);
            Ok(())
        }
        // An object without namespace: what was sent is passed over.
        None => {
            meta::set(object, "namespace", "");
            Ok(())
        }
        Some(_) => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// What the kind itself has to say of an object that is fine.
pub(crate) fn advice(call: &Call, object: &Value) -> Vec<String> {
    match &call.resource.strategy {
        ResourceStrategy::Builtin(builtin) => builtin.warnings(object),
        ResourceStrategy::Custom(_) => Vec::new(),
    }
}

/// The stored form of an object within its budgets.
///
/// # Errors
/// 400 or 413 with the budget that it exceeds: patches and defaults add to what
/// was sent.
pub(crate) fn storable(call: &Call, object: &Value) -> Result<Storable, ApiError> {
    let storable = call.resource.storable(object);
    if storable.len() > limits::MAX_OBJECT_BYTES {
        return Err(ApiError::too_large_object(storable.len()));
    }
    Ok(storable)
}

/// The real server judges an update's metadata for every kind and again for
/// the kind itself, and so names each cause twice; clients that count causes
/// find the same number here.
fn twice(causes: Vec<StatusCause>) -> Vec<StatusCause> {
    let mut out = causes.clone();
    out.extend(causes);
    out
}

/// Everything that the kind itself and its metadata forbid.
pub(crate) fn validate(call: &Call, new: &Value, old: Option<&Value>) -> Vec<StatusCause> {
    let kind = &call.resource.kind;
    let mut causes = Vec::new();
    if let ResourceStrategy::Custom(custom) = &call.resource.strategy {
        let sent = new.get("kind").and_then(Value::as_str).unwrap_or_default();
        if sent != kind.kind {
            causes.push(StatusCause::invalid(
                "kind",
                &sent.into(),
                &format!("must be {}", kind.kind),
            ));
        }
        causes.extend(meta::validate::metadata(
            new,
            call.resource.name_rule,
            kind.namespaced,
        ));
        if let Some(old) = old {
            causes.extend(twice(meta::validate::metadata_update(new, old)));
        }
        causes.extend(
            custom
                .schema
                .validate(new, old)
                .iter()
                .map(StatusCause::from),
        );
        return causes;
    }
    causes.extend(meta::validate::metadata(
        new,
        call.resource.name_rule,
        kind.namespaced,
    ));
    if let Some(old) = old {
        causes.extend(twice(meta::validate::metadata_update(new, old)));
    }
    if let ResourceStrategy::Builtin(builtin) = &call.resource.strategy {
        causes.extend(builtin.validate(new, old, call.path.subresource.as_deref()));
    }
    causes
}
