//! Nobody may grant more than they have: writes of roles and bindings are checked
//! against the rules that apply to the writer.

use serde_json::Value;

use super::access_request::{AccessRequest, ResourceAccessRequest};
use super::aggregation;
use super::covers::{compact, missing_rights};
use super::snapshot::{RbacSnapshot, RoleReference, is_master, join_errors};
use super::{GROUP, RuleEntry};
use crate::admission::{AdmissionOperation, AdmissionRequest};
use crate::limits;
use crate::user::UserInfo;

/// Why a write of a role or a binding is refused. The message follows `… is
/// forbidden: `.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EscalationError(String);

/// Checks a write, if it is one of a role or of a binding.
///
/// # Errors
/// The writer lacks rights that the object grants, and may not grant them
/// nevertheless (`escalate` of the role, `bind` of the role of a binding).
pub(crate) fn check(
    rbac: &RbacSnapshot,
    request: &AdmissionRequest<'_>,
) -> Result<(), EscalationError> {
    let (GROUP, Some(object)) = (request.group, request.object) else {
        return Ok(());
    };
    if request.operation == AdmissionOperation::Delete || is_master(request.user) {
        return Ok(());
    }
    match request.resource {
        "roles" | "clusterroles" => check_role(rbac, request, object),
        "rolebindings" | "clusterrolebindings" => check_binding(rbac, request, object),
        _ => Ok(()),
    }
}

fn check_role(
    rbac: &RbacSnapshot,
    request: &AdmissionRequest<'_>,
    object: &Value,
) -> Result<(), EscalationError> {
    let rules = RuleEntry::from_role(object);
    // The labels count: by them, aggregated roles get the rules.
    let grants = |role: &Value| {
        (
            RuleEntry::from_role(role),
            role["aggregationRule"].clone(),
            role["metadata"]["labels"].clone(),
        )
    };
    let is_unchanged = request
        .old_object
        .is_some_and(|old| grants(old) == grants(object));
    let namespace = request.namespace.unwrap_or_default();
    let escalate = ResourceAccessRequest {
        verb: "escalate",
        group: GROUP,
        resource: request.resource,
        subresource: "",
        namespace,
        name: request.name,
    };
    if is_unchanged || is_allowed(rbac, request.user, escalate) {
        return Ok(());
    }
    check_rules(rbac, request.user, namespace, &rules)?;
    // It can gather anything, and what it gathers changes later.
    let is_aggregated = [Some(object), request.old_object]
        .into_iter()
        .flatten()
        .any(aggregation::is_aggregated);
    if is_aggregated && check_rules(rbac, request.user, "", &RuleEntry::everything()).is_err() {
        return Err(EscalationError(
            "must have cluster-admin privileges to use the aggregationRule".to_owned(),
        ));
    }
    Ok(())
}

fn check_binding(
    rbac: &RbacSnapshot,
    request: &AdmissionRequest<'_>,
    object: &Value,
) -> Result<(), EscalationError> {
    let role = RoleReference::from_binding(object);
    let is_unchanged = request.old_object.is_some_and(|old| {
        old["subjects"] == object["subjects"] && RoleReference::from_binding(old) == role
    });
    let namespace = request.namespace.unwrap_or_default();
    let bind = ResourceAccessRequest {
        verb: "bind",
        group: GROUP,
        resource: match role.kind.as_str() {
            "Role" => "roles",
            _ => "clusterroles",
        },
        subresource: "",
        namespace,
        name: &role.name,
    };
    if is_unchanged || is_allowed(rbac, request.user, bind) {
        return Ok(());
    }
    let rules = rbac
        .rules_of(&role, namespace)
        .map_err(|error| EscalationError(error.to_string()))?;
    check_rules(rbac, request.user, namespace, &rules)
}

fn is_allowed(rbac: &RbacSnapshot, user: &UserInfo, request: ResourceAccessRequest<'_>) -> bool {
    rbac.authorize(user, &AccessRequest::Resource(request))
        .allowed
}

fn check_rules(
    rbac: &RbacSnapshot,
    user: &UserInfo,
    namespace: &str,
    rules: &[RuleEntry],
) -> Result<(), EscalationError> {
    let held = rbac.rules_for(user, namespace);
    let missing = missing_rights(&held.rules, rules);
    if missing.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<String> = compact(missing).iter().map(ToString::to_string).collect();
    texts.sort();
    let groups: Vec<String> = user
        .groups
        .iter()
        .map(|group| format!("{group:?}"))
        .collect();
    let mut message = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        texts.join("\n")
    );
    if !held.errors.is_empty() {
        message = format!(
            "{message}; resolution errors: {}",
            join_errors(&held.errors)
        );
    }
    Err(EscalationError(limits::ellipsize(
        message,
        limits::MAX_MESSAGE_BYTES,
    )))
}
