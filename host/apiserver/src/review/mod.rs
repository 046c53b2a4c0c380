//! Reviews: who a user or the owner of a token is, and what a user may do. They
//! are computed from the request and not stored.
//!
//! Access reviews are decided by the roles and bindings that decide about
//! requests. Admission policies are not called, as in Kubernetes.

mod access;
mod authentication;
mod kinds;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use self::kinds::kinds;
use self::kinds::{ReviewKind, find};

use crate::body::ResponseBody;
use crate::decode::{self, ExpectedKind};
use crate::meta;
use crate::negotiate::ResponseFormat;
use crate::path::ResourcePath;
use crate::render;
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;

/// Returns whether a path names a review.
pub(crate) fn is_review(path: &ResourcePath) -> bool {
    find(path).is_some()
}

/// Responds to a review.
pub(crate) async fn respond(
    server: &ServerState,
    path: &ResourcePath,
    request: &Parts,
    user: &UserInfo,
    body: &[u8],
    format: ResponseFormat,
) -> Result<Response<ResponseBody>, ApiError> {
    let Some(review) = find(path) else {
        return Err(ApiError::no_resource());
    };
    let is_namespaced = review.is_namespaced();
    if path.name.is_some() || path.namespace.is_some() != is_namespaced {
        return Err(ApiError::no_resource());
    }
    if request.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let sent = read(review, request, body)?;
    let rbac = server.rbac.load_full();
    let (spec, status) = match review {
        ReviewKind::SelfSubject => (None, authentication::self_subject(user)),
        ReviewKind::Token => authentication::token_review(server, &sent).await?,
        ReviewKind::SelfSubjectAccess => access::self_access(&rbac, &sent, user)?,
        ReviewKind::SubjectAccess => access::subject_access(&rbac, &sent, None)?,
        ReviewKind::LocalSubjectAccess => {
            access::subject_access(&rbac, &sent, path.namespace.as_deref())?
        }
        ReviewKind::SelfSubjectRules => access::self_rules(&rbac, &sent, user)?,
    };
    let mut response = json!({
        "kind": review.kind(),
        "apiVersion": review.api_version(),
        "metadata": metadata(server, review, &sent),
        "status": status,
    });
    if let (Some(spec), Some(map)) = (spec, response.as_object_mut()) {
        map.insert("spec".to_owned(), spec);
    }
    Ok(render::value(201, &response, format))
}

fn metadata(server: &ServerState, review: ReviewKind, sent: &Value) -> Value {
    if review == ReviewKind::SelfSubject {
        return json!({"creationTimestamp": crate::timestamp::rfc3339_seconds(server.clock.now())});
    }
    let mut metadata = json!({});
    for key in ["name", "namespace"] {
        let text = meta::text(sent, key);
        if let (false, Some(map)) = (text.is_empty(), metadata.as_object_mut()) {
            map.insert(key.to_owned(), text.into());
        }
    }
    metadata
}

fn read(review: ReviewKind, request: &Parts, body: &[u8]) -> Result<Value, ApiError> {
    let content_type = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (api_version, kind) = (review.api_version(), review.kind());
    let expected = Some(ExpectedKind {
        api_version: &api_version,
        kind,
    });
    let syntax = decode::accepted_content_type(content_type, expected)?;
    let sent = decode::parse(syntax, body)
        .map_err(|why| ApiError::bad_request(decode::unreadable(&why)))?
        .value;
    let text = |key: &str| sent.get(key).and_then(Value::as_str).unwrap_or_default();
    if !sent.is_object() || !(text("kind").is_empty() || text("kind") == kind) {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {:?}",
            text("kind")
        )));
    }
    if !text("apiVersion").is_empty() && text("apiVersion") != api_version {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({api_version})",
            text("apiVersion")
        )));
    }
    Ok(sent)
}

/// Parses the spec of a review.
///
/// # Errors
/// 400 with the field that has the wrong type.
fn spec<T: DeserializeOwned + Default>(sent: &Value) -> Result<T, ApiError> {
    match sent.get("spec") {
        None | Some(Value::Null) => Ok(T::default()),
        Some(spec) => T::deserialize(spec)
            .map_err(|error| ApiError::bad_request(format!("spec cannot be read: {error}"))),
    }
}
