//! The verb of a request for a resource.

use http::Method;
use http::request::Parts;

use crate::path::ResourcePath;
use crate::query::QueryParams;
use crate::resource::ServedResource;
use crate::status::ApiError;

/// The verb of a request for a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestVerb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// Returns the verb of a method, whether or not it is served; empty for methods
/// that no resource has.
fn method_verb(method: &Method, path: &ResourcePath) -> &'static str {
    match (method, path.name.is_some()) {
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "",
    }
}

/// Returns the verb of a request for authorization, whether or not it is served;
/// empty for methods that no resource has.
pub(crate) fn requested_verb(
    method: &Method,
    path: &ResourcePath,
    query: &QueryParams,
) -> &'static str {
    match method_verb(method, path) {
        "list" if query.flag("watch") => "watch",
        verb => verb,
    }
}

impl RequestVerb {
    /// Returns the verb as Kubernetes writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Returns whether requests of this verb have a body.
    pub(crate) fn has_body(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }

    /// Determines the verb of a request from its method, path, and query.
    ///
    /// # Errors
    /// 404 or 405, in the form of the resource.
    pub(crate) fn determine(
        parts: &Parts,
        path: &ResourcePath,
        resource: &ServedResource,
        query: &QueryParams,
    ) -> Result<Self, ApiError> {
        let method = &parts.method;
        let is_builtin = resource.is_builtin();
        let kind = &resource.kind;
        let not_allowed = || {
            if is_builtin {
                ApiError::method_not_allowed()
            } else {
                ApiError::not_supported(&kind.group, &kind.plural, method_verb(method, path))
            }
        };
        let not_found = || {
            if is_builtin {
                ApiError::no_resource()
            } else {
                ApiError::page_not_found()
            }
        };
        if !kind.namespaced && path.namespace.is_some() {
            return Err(not_found());
        }
        // All namespaces at once can only be read.
        let is_all_namespaces = kind.namespaced && path.namespace.is_none();
        if is_all_namespaces && path.name.is_some() {
            return Err(not_found());
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if is_all_namespaces && !(*method == Method::GET || !is_builtin && is_read) {
            return Err(if is_builtin {
                ApiError::method_not_allowed()
            } else {
                not_found()
            });
        }
        if let Some(name) = path.subresource.as_deref() {
            let subresource = kind.subresource(name).ok_or_else(|| {
                match (is_builtin, name, path.name.as_deref()) {
                    (false, "status" | "scale", Some(object)) => {
                        ApiError::not_found(&kind.group, &kind.plural, object)
                    }
                    _ => not_found(),
                }
            })?;
            let verb = match *method {
                Method::GET => Self::Get,
                Method::HEAD if !is_builtin => Self::Get,
                Method::PUT => Self::Update,
                Method::PATCH => Self::Patch,
                _ => return Err(not_allowed()),
            };
            return if subresource.verbs.contains(&verb.name()) {
                Ok(verb)
            } else {
                Err(not_allowed())
            };
        }
        let is_watch = query.flag("watch");
        let is_apply = parts
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|sent| sent.as_bytes().starts_with(b"application/apply-patch+yaml"));
        let verb = match (method, path.name.is_some()) {
            (&Method::GET, true) => Self::Get,
            (&Method::HEAD, true) if !is_builtin => Self::Get,
            (&Method::GET, false) if is_watch => Self::Watch,
            (&Method::GET, false) => Self::List,
            (&Method::HEAD, false) if !is_builtin => Self::List,
            (&Method::POST, false) => Self::Create,
            (&Method::PUT, true) => Self::Update,
            (&Method::PATCH, true) => Self::Patch,
            (&Method::DELETE, true) => Self::Delete,
            (&Method::DELETE, false) => Self::DeleteCollection,
            (&Method::PUT, false) if !is_builtin => {
                return Err(ApiError::bad_request("name must be provided"));
            }
            (&Method::PATCH, false) if !is_builtin && is_apply => {
                return Err(ApiError::bad_request("name must be provided"));
            }
            (&Method::PATCH, false) if !is_builtin => {
                return Err(ApiError::unsupported_media(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            _ => return Err(not_allowed()),
        };
        if kind.has_verb(verb.name()) {
            Ok(verb)
        } else {
            Err(not_allowed())
        }
    }
}
