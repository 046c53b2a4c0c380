//! What somebody may do: everything, once let in.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::spec;
use crate::status::{ApiError, StatusCause};
use crate::user::UserInfo;

const GROUP: &str = "authorization.k8s.io";
/// Members may do everything, by Kubernetes' own name.
const ADMINS: &str = "system:masters";

/// The parts that decide; the rest is echoed as it was sent.
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

fn echo(sent: &Value) -> Value {
    sent.get("spec")
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

/// What the caller may do.
pub(super) fn self_access(sent: &Value) -> Result<(Option<Value>, Value), ApiError> {
    let spec: AccessSpec = spec(sent)?;
    check("SelfSubjectAccessReview", &spec)?;
    let status = json!({"allowed": true, "reason": "whoever is let in may do everything"});
    Ok((Some(echo(sent)), status))
}

/// What somebody may do, within a namespace where one is given.
pub(super) fn subject_access(
    sent: &Value,
    caller: &UserInfo,
    namespace: Option<&str>,
) -> Result<(Option<Value>, Value), ApiError> {
    let kind = if namespace.is_some() {
        "LocalSubjectAccessReview"
    } else {
        "SubjectAccessReview"
    };
    let spec: AccessSpec = spec(sent)?;
    check(kind, &spec)?;
    if spec.user.is_empty() && spec.groups.is_empty() {
        let why = "at least one of user or group must be specified";
        return Err(invalid(
            kind,
            StatusCause::invalid("spec.user", &"".into(), why),
        ));
    }
    let asked = spec.resource_attributes.as_ref();
    if let Some(namespace) = namespace
        && asked.is_none_or(|asked| asked.namespace != namespace)
    {
        let value = asked.map_or("", |asked| &asked.namespace);
        let why = format!("must match metadata.namespace {namespace:?} of the path");
        return Err(invalid(
            kind,
            StatusCause::invalid("spec.resourceAttributes.namespace", &value.into(), &why),
        ));
    }
    let allowed = spec.groups.iter().any(|group| group == ADMINS)
        || (spec.user == caller.name && spec.groups.iter().all(|g| caller.groups.contains(g)));
    let status = if allowed {
        json!({"allowed": true, "reason": "whoever is let in may do everything"})
    } else {
        json!({"allowed": false, "reason": format!("there are no roles here: only the caller and members of {ADMINS} are known to be let in")})
    };
    Ok((Some(echo(sent)), status))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RulesSpec {
    namespace: String,
}

/// Everything that the caller may do in a namespace.
pub(super) fn self_rules(sent: &Value) -> Result<(Option<Value>, Value), ApiError> {
    let RulesSpec { namespace } = spec(sent)?;
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
