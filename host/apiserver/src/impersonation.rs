//! Impersonation: a request that is carried out as another user, if the roles
//! allow the one who sends it to.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::query::decode_segment;
use crate::rbac::{AUTHENTICATED_GROUP, AccessRequest, ResourceAccessRequest};
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::user::{UserInfo, parse_service_account};

/// The prefix of all headers that request impersonation.
const PREFIX: &str = "impersonate-";
/// The group of the attributes of users.
const ATTRIBUTES_GROUP: &str = "authentication.k8s.io";
/// The user of requests without credentials, who is in no group of authenticated
/// users.
const ANONYMOUS_USER: &str = "system:anonymous";
const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";

/// Returns the user whom the headers ask to impersonate; `None` without such
/// headers.
///
/// # Errors
/// 403 if `user` may not impersonate the name, a group, the UID, or an extra
/// attribute; 400 for attributes without a name, and for unknown headers.
pub(crate) fn impersonated_user(
    server: &ServerState,
    headers: &HeaderMap,
    user: &UserInfo,
) -> Result<Option<UserInfo>, ApiError> {
    let Some(requested) = requested_user(headers)? else {
        return Ok(None);
    };
    check(server, user, &requested)?;
    Ok(Some(with_implied_groups(requested)))
}

/// Reads the headers.
fn requested_user(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    let mut requested = UserInfo::default();
    let mut has_headers = false;
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        has_headers = true;
        let value = String::from_utf8(value.as_bytes().to_vec())
            .map_err(|_| ApiError::bad_request(format!("the header {name} is not UTF-8")))?;
        match (attribute, attribute.strip_prefix("extra-")) {
            ("user", _) => requested.name = value,
            ("uid", _) => requested.uid = value,
            ("group", _) => requested.groups.push(value),
            (_, Some(key)) => {
                let key = decode_segment(key).to_lowercase();
                requested.extra.entry(key).or_default().push(value);
            }
            _ => {
                return Err(ApiError::bad_request(format!(
                    "the header {name} is unknown; a request can impersonate a user, groups, a uid, and extra attributes"
                )));
            }
        }
    }
    if has_headers && requested.name.is_empty() {
        return Err(ApiError::bad_request(
            "groups, a uid, or extra attributes were requested without impersonating a user; add Impersonate-User (kubectl: --as)",
        ));
    }
    Ok(has_headers.then_some(requested))
}

/// Checks each attribute, as Kubernetes does: a right for the one is none for the
/// other.
fn check(server: &ServerState, user: &UserInfo, requested: &UserInfo) -> Result<(), ApiError> {
    if server.reserved_users.contains(&requested.name) {
        return Err(ApiError::forbidden(
            "",
            "users",
            &requested.name,
            "this user is the server's own, and nobody can impersonate it",
            Vec::new(),
        ));
    }
    let core = |resource, namespace, name| ResourceAccessRequest {
        verb: "impersonate",
        resource,
        namespace,
        name,
        ..ResourceAccessRequest::default()
    };
    let of_attribute = |resource, subresource, name| ResourceAccessRequest {
        group: ATTRIBUTES_GROUP,
        subresource,
        ..core(resource, "", name)
    };
    let mut attributes = vec![match parse_service_account(&requested.name) {
        Some((namespace, name)) => core("serviceaccounts", namespace, name),
        None => core("users", "", &requested.name),
    }];
    attributes.extend(
        requested
            .groups
            .iter()
            .map(|group| core("groups", "", group)),
    );
    attributes.extend(
        extra_values(&requested.extra).map(|(key, value)| of_attribute("userextras", key, value)),
    );
    if !requested.uid.is_empty() {
        attributes.push(of_attribute("uids", "", &requested.uid));
    }
    let rbac = server.rbac.load();
    for attribute in attributes {
        let request = AccessRequest::Resource(attribute);
        let outcome = rbac.authorize(user, &request);
        if !outcome.allowed {
            return Err(request.denial(user, &outcome.reason));
        }
    }
    Ok(())
}

fn extra_values(extra: &BTreeMap<String, Vec<String>>) -> impl Iterator<Item = (&str, &str)> {
    extra.iter().flat_map(|(key, values)| {
        let values = values.iter();
        values.map(move |value| (key.as_str(), value.as_str()))
    })
}

/// Adds the groups that every user of the kind is in.
fn with_implied_groups(mut user: UserInfo) -> UserInfo {
    if let (true, Some((namespace, name))) =
        (user.groups.is_empty(), parse_service_account(&user.name))
    {
        user.groups = UserInfo::service_account(namespace, name).groups;
    }
    let is_listed = user
        .groups
        .iter()
        .any(|group| group == AUTHENTICATED_GROUP || group == UNAUTHENTICATED_GROUP);
    if user.name == ANONYMOUS_USER {
        if !is_listed {
            user.groups.push(UNAUTHENTICATED_GROUP.to_owned());
        }
    } else if !is_listed {
        user.groups.push(AUTHENTICATED_GROUP.to_owned());
    }
    user
}
