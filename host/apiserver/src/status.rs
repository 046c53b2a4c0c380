//! Failures as Kubernetes clients read them: an HTTP status code and a
//! `Status` object whose reason and details they branch on.

use serde_json::{Map, Value, json};

pub use crate::cause::StatusCause;
use crate::limits;

/// Reason of a create whose name is taken.
pub(crate) const ALREADY_EXISTS: &str = "AlreadyExists";

#[derive(Debug, Clone, Default)]
struct StatusDetails {
    name: String,
    group: String,
    kind: String,
    uid: String,
    causes: Vec<StatusCause>,
    retry_after: Option<u32>,
}

#[derive(Debug, Clone)]
struct ErrorFields {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<StatusDetails>,
    continue_token: Option<String>,
    page: bool,
}

/// A request that failed. Cheap to move; rendered once, at the edge.
#[derive(Debug, Clone)]
pub struct ApiError(Box<ErrorFields>);

/// `resource.group`, or the bare resource for the core group.
pub(crate) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

/// As many causes as a client can use, each of a length that it can show.
fn limit_causes(mut causes: Vec<StatusCause>) -> Vec<StatusCause> {
    let more = causes.len().saturating_sub(limits::MAX_CAUSES);
    if more > 0 {
        causes.truncate(limits::MAX_CAUSES - 1);
        causes.push(StatusCause::new(
            "",
            "",
            format!("and {} more; correct these first", more + 1),
        ));
    }
    for cause in &mut causes {
        for text in [&mut cause.message, &mut cause.field] {
            *text = limits::ellipsize(std::mem::take(text), limits::MAX_CAUSE_BYTES);
        }
    }
    causes
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorFields {
            code,
            reason,
            message: limits::ellipsize(message.into(), limits::MAX_MESSAGE_BYTES),
            details: None,
            continue_token: None,
            page: false,
        }))
    }

    fn details(mut self, details: StatusDetails) -> Self {
        self.0.details = Some(details);
        self
    }

    fn bare(self) -> Self {
        self.details(StatusDetails::default())
    }

    fn object(self, group: &str, resource: &str, name: &str) -> Self {
        self.details(StatusDetails {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..StatusDetails::default()
        })
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody vouched for the caller.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 about one object, with an optional cause that clients recognise.
    pub fn forbidden(
        group: &str,
        resource: &str,
        name: &str,
        why: &str,
        causes: Vec<StatusCause>,
    ) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", qualified(group, resource))
        } else {
            format!(
                "{} \"{name}\" is forbidden: {why}",
                qualified(group, resource)
            )
        };
        Self::new(403, "Forbidden", message).details(StatusDetails {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            causes,
            ..StatusDetails::default()
        })
    }

    /// 404 of one named object.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", qualified(group, resource)),
        )
        .object(group, resource, name)
    }

    /// 404 of a resource or path that nobody serves, as a Status.
    pub fn no_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .bare()
    }

    /// 404 as plain text, which is how paths outside the built-in groups are
    /// refused.
    pub fn page_not_found() -> Self {
        let mut error = Self::no_resource();
        error.0.page = true;
        error
    }

    /// 405 of a path.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .bare()
    }

    /// 405 of one resource, naming the verb.
    pub fn not_supported(group: &str, resource: &str, verb: &str) -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            format!(
                "{verb} is not supported on resources of kind \"{}\"",
                qualified(group, resource)
            ),
        )
        .object(group, resource, "")
    }

    /// 406: none of the accepted media types can be served.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 409: the name is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            409,
            ALREADY_EXISTS,
            format!("{} \"{name}\" already exists", qualified(group, resource)),
        )
        .object(group, resource, name)
    }

    /// 409: the object changed meanwhile, or a precondition failed.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} \"{name}\": {why}",
                qualified(group, resource)
            ),
        )
        .object(group, resource, name)
    }

    /// 409 of a server-side apply whose fields others own.
    pub fn apply_conflict(message: String, causes: Vec<StatusCause>) -> Self {
        Self::new(409, "Conflict", message).details(StatusDetails {
            causes: limit_causes(causes),
            ..StatusDetails::default()
        })
    }

    /// 410: the requested revision is no longer (or not yet) there.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 413: the object would be larger than what is stored.
    pub fn too_large_object(size: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: the object would have {size} bytes, limit is {}",
                limits::MAX_OBJECT_BYTES
            ),
        )
    }

    /// 413: a patch of too many operations.
    pub fn too_many_operations(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: the body's media type is not understood.
    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422: the object is understood and wrong.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<StatusCause>) -> Self {
        let causes = limit_causes(causes);
        let mut texts: Vec<String> = Vec::new();
        for cause in &causes {
            let text = if cause.field.is_empty() {
                cause.message.clone()
            } else {
                format!("{}: {}", cause.field, cause.message)
            };
            // A cause that is named twice is said once.
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        Self::new(
            422,
            "Invalid",
            format!("{} \"{name}\" is invalid: {list}", qualified(group, kind)),
        )
        .details(StatusDetails {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes,
            ..StatusDetails::default()
        })
    }

    /// 422 of a patch that cannot be applied to what is stored.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message).bare()
    }

    /// 500: something here broke; the text is safe to show.
    pub fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .details(StatusDetails {
            causes: vec![StatusCause::new("", "", message)],
            ..StatusDetails::default()
        })
    }

    /// 500 whose text stands alone, as apply gives for an object that its
    /// schema cannot read.
    pub fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 503: try again in a moment.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).details(StatusDetails {
            retry_after: Some(1),
            ..StatusDetails::default()
        })
    }

    /// 504: the revision that was asked for lies in the future.
    pub fn too_large_resource_version(asked: u64, current: u64) -> Self {
        Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {asked}, current: {current}"),
        )
        .details(StatusDetails {
            causes: vec![StatusCause::new(
                "ResourceVersionTooLarge",
                "",
                "Too large resource version",
            )],
            retry_after: Some(1),
            ..StatusDetails::default()
        })
    }

    /// Adds the uid of the object that the details name.
    pub fn with_uid(mut self, uid: &str) -> Self {
        if let Some(details) = &mut self.0.details {
            details.uid = uid.to_owned();
        }
        self
    }

    /// Shows `details` although they say nothing, as some answers do.
    pub(crate) fn with_empty_details(self) -> Self {
        self.bare()
    }

    /// Adds the continue token with which an expired list may go on.
    pub fn with_continue(mut self, token: String) -> Self {
        self.0.continue_token = Some(token);
        self
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The reason that clients branch on; empty when there is none.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// The human text.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// True when the answer is the plain text `404 page not found`.
    pub fn is_page(&self) -> bool {
        self.0.page
    }

    /// Seconds for the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u32> {
        self.0.details.as_ref().and_then(|d| d.retry_after)
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let inner = &self.0;
        let mut metadata = Map::new();
        if let Some(token) = &inner.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": inner.message,
            "code": inner.code,
        });
        if let Some(object) = status.as_object_mut() {
            if !inner.reason.is_empty() {
                object.insert("reason".to_owned(), json!(inner.reason));
            }
            if let Some(details) = &inner.details {
                object.insert("details".to_owned(), details.to_value());
            }
        }
        status
    }
}

impl StatusDetails {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            let causes: Vec<Value> = self.causes.iter().map(StatusCause::to_value).collect();
            out.insert("causes".to_owned(), Value::Array(causes));
        }
        if let Some(seconds) = self.retry_after {
            out.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        Value::Object(out)
    }
}
