//! What is learned about a request while it is served.

use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::path::ResourcePath;
use crate::rbac::AccessOutcome;
use crate::user::UserInfo;

/// What is learned about a request while it is served, for metrics and for the audit
/// log. Each value is set at most once.
#[derive(Debug, Default)]
pub(crate) struct RequestRecord {
    /// The verb, once the request was routed.
    pub(crate) verb: OnceLock<&'static str>,
    pub(crate) impersonated: OnceLock<UserInfo>,
    pub(crate) outcome: OnceLock<AccessOutcome>,
    /// The body, if the audit log has it.
    pub(crate) body: OnceLock<RequestBody>,
    keeps_body: bool,
}

/// The body of a request and its media type.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl RequestRecord {
    /// Creates a record, which keeps the body if `keeps_body` says so.
    pub(crate) fn new(keeps_body: bool) -> Self {
        Self {
            keeps_body,
            ..Self::default()
        }
    }

    /// Keeps the body of a request, if it is wanted and reveals no secret.
    pub(crate) fn keep_body(&self, path: &ResourcePath, headers: &HeaderMap, body: &Bytes) {
        if !self.keeps_body || body.is_empty() || has_secrets(path) {
            return;
        }
        let media_type = headers.get(CONTENT_TYPE).and_then(|t| t.to_str().ok());
        self.body.get_or_init(|| RequestBody {
            media_type: media_type.unwrap_or_default().to_owned(),
            bytes: body.clone(),
        });
    }
}

/// Returns whether the objects of a path contain passwords or tokens.
fn has_secrets(path: &ResourcePath) -> bool {
    matches!(
        (path.group.as_str(), path.resource.as_str()),
        ("", "secrets") | ("authentication.k8s.io", "tokenreviews")
    )
}
