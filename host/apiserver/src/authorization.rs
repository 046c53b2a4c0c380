//! The authorization of requests: what each asks to do, and the 403 of one that
//! the roles do not allow.

use http::request::Parts;

use crate::audit::RequestRecord;
use crate::path::{RequestTarget, ResourcePath};
use crate::query::QueryParams;
use crate::rbac::{AccessOutcome, AccessRequest, ResourceAccessRequest};
use crate::request_context::RequestContext;
use crate::request_verb::requested_verb;
use crate::selectors::field::FieldSelector;
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::user::UserInfo;

/// Checks that the user of a request may do what it asks for.
///
/// # Errors
/// 403 in the words of kube-apiserver.
pub(crate) fn check(
    server: &ServerState,
    user: &UserInfo,
    parts: &Parts,
    target: &RequestTarget,
    query: &QueryParams,
    record: &RequestRecord,
) -> Result<(), ApiError> {
    let verb = parts.method.as_str().to_ascii_lowercase();
    let selected = selected_name(query);
    let request = match target {
        RequestTarget::Resource(path) => {
            let verb = requested_verb(&parts.method, path, query);
            let selected = match verb {
                "list" | "watch" | "deletecollection" => selected.as_deref(),
                _ => None,
            };
            resource_request(path, verb, selected)
        }
        _ => AccessRequest::NonResource {
            verb: &verb,
            path: parts.uri.path(),
        },
    };
    let outcome = server.rbac.load().authorize(user, &request);
    let outcome = record.outcome.get_or_init(|| outcome);
    as_result(user, &request, outcome)
}

/// Checks that a request that would create an object without being a POST, such
/// as an apply, may do so.
///
/// # Errors
/// 403 in the words of kube-apiserver.
pub(crate) fn check_create(ctx: &RequestContext) -> Result<(), ApiError> {
    let request = resource_request(&ctx.path, "create", None);
    let outcome = ctx.server.rbac.load().authorize(&ctx.user, &request);
    as_result(&ctx.user, &request, &outcome)
}

fn as_result(
    user: &UserInfo,
    request: &AccessRequest<'_>,
    outcome: &AccessOutcome,
) -> Result<(), ApiError> {
    match outcome.allowed {
        true => Ok(()),
        false => Err(request.denial(user, &outcome.reason)),
    }
}

fn resource_request<'a>(
    path: &'a ResourcePath,
    verb: &'a str,
    selected: Option<&'a str>,
) -> AccessRequest<'a> {
    let name = path.name.as_deref().or(selected).unwrap_or_default();
    let namespace = match (path.group.as_str(), path.resource.as_str(), &path.name) {
        // A namespace is in itself: a role within it may be about it.
        ("", "namespaces", Some(name)) => name,
        _ => path.namespace.as_deref().unwrap_or_default(),
    };
    AccessRequest::Resource(ResourceAccessRequest {
        verb,
        group: &path.group,
        resource: &path.resource,
        subresource: path.subresource.as_deref().unwrap_or_default(),
        namespace,
        name,
    })
}

/// Returns the only name that a collection request selects, so that a rule with
/// `resourceNames` can allow it. The handler applies the same selector.
fn selected_name(query: &QueryParams) -> Option<String> {
    let selector = FieldSelector::parse(query.get("fieldSelector")?).ok()?;
    selector.name().map(str::to_owned)
}
