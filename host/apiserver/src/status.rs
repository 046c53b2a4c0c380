//! Failures: an HTTP status code and a `Status` object, whose reason and
//! details Kubernetes clients evaluate.

use serde_json::{Map, Value, json};

pub use crate::cause::StatusCause;
use crate::limits;
use crate::status_details::{StatusDetails, limit_causes};

/// The reason of a create whose name is in use.
pub(crate) const ALREADY_EXISTS: &str = "AlreadyExists";

#[derive(Debug, Clone)]
struct ErrorFields {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<StatusDetails>,
    continue_token: Option<String>,
    page: bool,
}

/// The error of a failed request. Cheap to move; rendered once, in the service.
#[derive(Debug, Clone)]
pub struct ApiError(Box<ErrorFields>);

/// Returns `resource.group`, or only the resource for the core group.
pub(crate) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
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

    /// Adds empty `details`, as some responses of kube-apiserver have them.
    pub(crate) fn with_empty_details(self) -> Self {
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

    /// 400: the request is malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: the request has no authenticated user.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 for one object, with optional causes that clients evaluate.
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

    /// 403 of a path that is not that of a resource.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}")).with_empty_details()
    }

    /// 404: there is no object of the name.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", qualified(group, resource)),
        )
        .object(group, resource, name)
    }

    /// 404 of a resource or path that is not served, as a `Status`.
    pub fn no_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_empty_details()
    }

    /// 404 as plain text, for paths outside the built-in groups.
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
        .with_empty_details()
    }

    /// 405 of a resource, with the verb.
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

    /// 409: an object of the name exists.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            409,
            ALREADY_EXISTS,
            format!("{} \"{name}\" already exists", qualified(group, resource)),
        )
        .object(group, resource, name)
    }

    /// 409: the object was changed meanwhile, or a precondition failed.
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

    /// 409 of a server-side apply: other managers own some of its fields.
    pub fn apply_conflict(message: String, causes: Vec<StatusCause>) -> Self {
        Self::new(409, "Conflict", message).details(StatusDetails {
            causes: limit_causes(causes),
            ..StatusDetails::default()
        })
    }

    /// 410: the requested revision was compacted, or does not exist yet.
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

    /// 413: the object would be too large to be stored.
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

    /// 413: the patch has too many operations.
    pub fn too_many_operations(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: the media type of the body is not supported.
    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422: the object is invalid.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<StatusCause>) -> Self {
        let causes = limit_causes(causes);
        let mut texts: Vec<String> = Vec::new();
        for cause in &causes {
            let text = if cause.field.is_empty() {
                cause.message.clone()
            } else {
                format!("{}: {}", cause.field, cause.message)
            };
            // Identical causes are listed once.
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

    /// 422: the patch cannot be applied to the stored object.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message).with_empty_details()
    }

    /// 500: the server failed. Clients get the message.
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

    /// 500 without a reason, as apply returns for an object that does not match
    /// its schema.
    pub fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 503: the client should retry in a second.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).details(StatusDetails {
            retry_after: Some(1),
            ..StatusDetails::default()
        })
    }

    /// 504: the requested revision is higher than the current one.
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {requested}, current: {current}"),
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

    /// Replaces the status code and the reason.
    pub(crate) fn with_reason(mut self, code: u16, reason: &'static str) -> Self {
        self.0.code = code;
        self.0.reason = reason;
        self
    }

    /// Says that the object that exists is being deleted.
    pub(crate) fn of_terminating_object(mut self) -> Self {
        self.0.message = format!("object is being deleted: {}", self.0.message);
        self
    }

    /// Adds the UID of the object in the details.
    pub fn with_uid(mut self, uid: &str) -> Self {
        if let Some(details) = &mut self.0.details {
            details.uid = uid.to_owned();
        }
        self
    }

    /// Adds the continue token with which an expired list can be continued.
    pub fn with_continue(mut self, token: String) -> Self {
        self.0.continue_token = Some(token);
        self
    }

    /// Returns the HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// Returns the reason, which clients evaluate; empty if there is none.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// Returns the message for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns whether the response is the plain text `404 page not found`.
    pub fn is_page(&self) -> bool {
        self.0.page
    }

    /// Returns the value of the `Retry-After` header, in seconds.
    pub fn retry_after(&self) -> Option<u32> {
        self.0.details.as_ref().and_then(|d| d.retry_after)
    }

    /// Returns the `Status` object.
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
