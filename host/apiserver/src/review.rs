//! Reviews of the caller: answers that are made up from the request and
//! stored nowhere.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use crate::body::Body;
use crate::clock;
use crate::decode;
use crate::negotiate::Format;
use crate::path::ResourcePath;
use crate::render;
use crate::server::Inner;
use crate::status::ApiError;
use crate::user::UserInfo;

/// Group of the reviews.
pub(crate) const GROUP: &str = "authentication.k8s.io";

/// Whether a path names the review of the caller itself.
pub(crate) fn is_self(path: &ResourcePath) -> bool {
    path.group == GROUP && path.version == "v1" && path.resource == "selfsubjectreviews"
}

/// Tells the caller who it is.
pub(crate) fn subject(
    server: &Inner,
    path: &ResourcePath,
    request: &Parts,
    user: &UserInfo,
    body: &[u8],
    format: Format,
) -> Result<Response<Body>, ApiError> {
    if path.name.is_some() || path.namespace.is_some() {
        return Err(ApiError::no_resource());
    }
    if request.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let content_type = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let syntax = decode::accepted(content_type)?;
    let sent = decode::parse(syntax, body)
        .map_err(ApiError::bad_request)?
        .value;
    let kind = sent.get("kind").and_then(Value::as_str).unwrap_or_default();
    if !sent.is_object() || !matches!(kind, "" | "SelfSubjectReview") {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type SelfSubjectReview): {kind:?}"
        )));
    }
    let review = json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": clock::seconds((server.clock)())},
        "status": {"userInfo": user.to_value()},
    });
    Ok(render::value(201, &review, format))
}

/// What discovery says of the reviews.
pub(crate) fn kinds() -> Vec<rdd_apiserver_kinds::Kind> {
    vec![rdd_apiserver_kinds::Kind {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        plural: "selfsubjectreviews".to_owned(),
        singular: "selfsubjectreview".to_owned(),
        kind: "SelfSubjectReview".to_owned(),
        list_kind: String::new(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: false,
        verbs: vec!["create"],
        storage_version_hash: String::new(),
        subresources: Vec::new(),
        origin: rdd_apiserver_kinds::Origin::Builtin,
    }]
}
