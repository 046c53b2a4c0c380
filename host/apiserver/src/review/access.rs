//! Access reviews: all authenticated users may do everything.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::spec;
use crate::status::{ApiError, StatusCause};
use crate::user::UserInfo;

const GROUP: &str = "authorization.k8s.io";
/// The group of Kubernetes whose members may do everything.
const ADMINS: &str = "system:masters";

/// The fields that matter. The response contains the whole spec of the request.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AccessSpec {
    resource_attributes: Option<Attributes>,
    non_resource_attributes: Option<Attributes>,
    user: String,
    groups: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attributes {
    namespace: String,
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

fn check(kind: &str, spec: &AccessSpec) -> Result<(), ApiError> {
    if spec.resource_attributes.is_some() == spec.non_resource_attributes.is_some() {
        return Err(invalid(
            kind,
            StatusCause::invalid(
                "spec.resourceAttributes",
                &Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ),
        ));
    }
    Ok(())
}

/// Reviews the access of the user of the request.
pub(super) fn self_access(request: &Value) -> Result<(Option<Value>, Value), ApiError> {
    let spec: AccessSpec = spec(request)?;
    check("SelfSubjectAccessReview", &spec)?;
    let status = json!({"allowed": true, "reason": "all authenticated users may do everything"});
    Ok((Some(echo(request)), status))
}

/// Reviews the access of any user, within a namespace if one is given.
pub(super) fn subject_access(
    request: &Value,
    caller: &UserInfo,
    namespace: Option<&str>,
) -> Result<(Option<Value>, Value), ApiError> {
    let kind = if namespace.is_some() {
        "LocalSubjectAccessReview"
    } else {
        "SubjectAccessReview"
    };
    let spec: AccessSpec = spec(request)?;
    check(kind, &spec)?;
    if spec.user.is_empty() && spec.groups.is_empty() {
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
    let allowed = spec.groups.iter().any(|group| group == ADMINS)
        || (spec.user == caller.name && spec.groups.iter().all(|g| caller.groups.contains(g)));
    let status = if allowed {
        json!({"allowed": true, "reason": "all authenticated users may do everything"})
    } else {
        json!({"allowed": false, "reason": format!("there are no roles: access is known only for the user of the request and members of {ADMINS}")})
    };
    Ok((Some(echo(request)), status))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RulesSpec {
    namespace: String,
}

/// Lists the rules of the user of the request in a namespace.
pub(super) fn self_rules(request: &Value) -> Result<(Option<Value>, Value), ApiError> {
    let RulesSpec { namespace } = spec(request)?;
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let status = json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    });
    Ok((Some(json!({})), status))
}
