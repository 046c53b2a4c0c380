//! The tracing span of a request.

use http::request::Parts;
use tracing::field::Empty;
use tracing::{Span, debug_span};

use crate::path::ResourcePath;
use crate::user::UserInfo;

/// Returns the span of a request. The fields without a value are recorded once
/// the request was parsed. If the level is disabled, neither this nor the
/// recording allocates.
pub(crate) fn new(parts: &Parts) -> Span {
    debug_span!(
        "api_request",
        user = parts
            .extensions
            .get::<UserInfo>()
            .map(|user| user.name.as_str()),
        impersonated = Empty,
        verb = Empty,
        group = Empty,
        resource = Empty,
        namespace = Empty,
        name = Empty,
        path = Empty,
    )
}

/// Records the user whom a request impersonates.
pub(crate) fn record_impersonated(span: &Span, user: &UserInfo) {
    span.record("impersonated", user.name.as_str());
}

/// Records the verb and the path of a request for a resource.
pub(crate) fn record_resource(span: &Span, verb: &str, path: &ResourcePath) {
    if span.is_disabled() {
        return;
    }
    span.record("verb", verb);
    for (field, value) in [
        ("group", path.group.as_str()),
        ("resource", path.resource.as_str()),
        ("namespace", path.namespace.as_deref().unwrap_or_default()),
        ("name", path.name.as_deref().unwrap_or_default()),
    ] {
        if !value.is_empty() {
            span.record(field, value);
        }
    }
}

/// Records the method and the path of a request that is not for a resource.
pub(crate) fn record_non_resource(span: &Span, parts: &Parts) {
    if span.is_disabled() {
        return;
    }
    span.record("verb", parts.method.as_str().to_ascii_lowercase());
    span.record("path", parts.uri.path());
}
