//! Access reviews: what a user may do, by the roles and bindings in force.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::spec;
use crate::rbac::{
    AccessOutcome, AccessRequest, RbacSnapshot, ResourceAccessRequest, RuleEntry, is_master,
    join_errors,
};
use crate::status::{ApiError, StatusCause};
use crate::user::UserInfo;

const GROUP: &str = "authorization.k8s.io";

/// The fields that matter. The response contains the whole spec of the request.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AccessSpec {
    resource_attributes: Option<ResourceAttributes>,
    non_resource_attributes: Option<NonResourceAttributes>,
    user: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceAttributes {
    namespace: String,
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NonResourceAttributes {
    path: String,
    verb: String,
}

fn invalid(kind: &str, cause: StatusCause) -> ApiError {
    ApiError::invalid(GROUP, kind, "", vec![cause])
}

fn echo(request: &Value) -> Value {
    request
        .get("spec")
        .cloned()
        .unwrap_or_else(|| Value::Object(Map::new()))
}

/// Returns what a review asks about.
fn requested<'s>(kind: &str, spec: &'s AccessSpec) -> Result<AccessRequest<'s>, ApiError> {
    match (&spec.resource_attributes, &spec.non_resource_attributes) {
        (Some(attributes), None) => Ok(AccessRequest::Resource(ResourceAccessRequest {
            verb: &attributes.verb,
            group: &attributes.group,
            resource: &attributes.resource,
            subresource: &attributes.subresource,
            namespace: &attributes.namespace,
            name: &attributes.name,
        })),
        (None, Some(NonResourceAttributes { path, verb })) => {
            Ok(AccessRequest::NonResource { verb, path })
        }
        _ => Err(invalid(
            kind,
            StatusCause::invalid(
                "spec.resourceAttributes",
                &Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ),
        )),
    }
}

/// Returns the status of a review.
fn status(AccessOutcome { allowed, reason }: AccessOutcome) -> Value {
    match reason.is_empty() {
        true => json!({"allowed": allowed}),
        false => json!({"allowed": allowed, "reason": reason}),
    }
}

/// Reviews the access of the user of the request.
pub(super) fn self_access(
    rbac: &RbacSnapshot,
    request: &Value,
    user: &UserInfo,
) -> Result<(Option<Value>, Value), ApiError> {
    let spec: AccessSpec = spec(request)?;
    let access = requested("SelfSubjectAccessReview", &spec)?;
    Ok((Some(echo(request)), status(rbac.authorize(user, &access))))
}

/// Reviews the access of any user, within a namespace if one is given.
pub(super) fn subject_access(
    rbac: &RbacSnapshot,
    request: &Value,
    namespace: Option<&str>,
) -> Result<(Option<Value>, Value), ApiError> {
    let kind = if namespace.is_some() {
        "LocalSubjectAccessReview"
    } else {
        "SubjectAccessReview"
    };
    let mut spec: AccessSpec = spec(request)?;
    let user = UserInfo {
        name: std::mem::take(&mut spec.user),
        groups: std::mem::take(&mut spec.groups),
        uid: std::mem::take(&mut spec.uid),
        extra: std::mem::take(&mut spec.extra),
    };
    let access = requested(kind, &spec)?;
    if user.name.is_empty() && user.groups.is_empty() {
        let why = "at least one of user or group must be specified";
        return Err(invalid(
            kind,
            StatusCause::invalid("spec.user", &"".into(), why),
        ));
    }
    let attributes = spec.resource_attributes.as_ref();
    if let Some(namespace) = namespace
        && attributes.is_none_or(|attributes| attributes.namespace != namespace)
    {
        let value = attributes.map_or("", |attributes| &attributes.namespace);
        let why = format!("must match metadata.namespace {namespace:?} of the path");
        return Err(invalid(
            kind,
            StatusCause::invalid("spec.resourceAttributes.namespace", &value.into(), &why),
        ));
    }
    Ok((Some(echo(request)), status(rbac.authorize(&user, &access))))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RulesSpec {
    namespace: String,
}

/// Lists the rules of the user of the request in a namespace.
pub(super) fn self_rules(
    rbac: &RbacSnapshot,
    request: &Value,
    user: &UserInfo,
) -> Result<(Option<Value>, Value), ApiError> {
    let RulesSpec { namespace } = spec(request)?;
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let mut found = rbac.rules_for(user, &namespace);
    if is_master(user) {
        found.rules.splice(0..0, RuleEntry::everything());
    }
    let (mut about_resources, mut about_paths) = (Vec::new(), Vec::new());
    for rule in &found.rules {
        let (rule, is_about_resources) = rule.to_review();
        let rules = match is_about_resources {
            true => &mut about_resources,
            false => &mut about_paths,
        };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    let mut status = json!({
        "resourceRules": about_resources,
        "nonResourceRules": about_paths,
        "incomplete": !found.errors.is_empty(),
    });
    if let (false, Some(status)) = (found.errors.is_empty(), status.as_object_mut()) {
        let error = join_errors(&found.errors);
        status.insert("evaluationError".to_owned(), error.into());
    }
    Ok((Some(json!({})), status))
}
