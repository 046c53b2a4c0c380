//! The strategy of Roles and ClusterRoles.

use rdd_apiserver_schema::FieldError;
use serde_json::Value;

use super::super::field_errors::{invalid, required};
use super::super::label_selector;
use super::items;

pub(in crate::builtin) fn validate(object: &Value) -> Vec<FieldError> {
    validate_rules(object, true)
}

pub(in crate::builtin) fn validate_update(object: &Value, _old: &Value) -> Vec<FieldError> {
    validate(object)
}

pub(in crate::builtin) fn validate_cluster_role(object: &Value) -> Vec<FieldError> {
    let mut errors = validate_rules(object, false);
    let aggregation = &object["aggregationRule"];
    if aggregation.is_object() {
        let field = "aggregationRule.clusterRoleSelectors";
        let selectors = items(aggregation, "clusterRoleSelectors");
        if selectors.is_empty() {
            errors.push(required(
                field,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            ));
        }
        for (index, selector) in selectors.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let invalid_parts = label_selector::validate(selector, &field);
            if !invalid_parts.is_empty() {
                errors.extend(invalid_parts);
                errors.push(invalid(field, Value::Null, "invalid label selector."));
            }
        }
    }
    errors
}

pub(in crate::builtin) fn validate_cluster_role_update(
    object: &Value,
    _old: &Value,
) -> Vec<FieldError> {
    validate_cluster_role(object)
}

/// Stores an empty list of rules as none.
pub(in crate::builtin) fn prepare_storage(object: &mut Value) {
    if items(object, "rules").is_empty()
        && let Some(rules) = object.get_mut("rules")
    {
        *rules = Value::Null;
    }
}

fn validate_rules(role: &Value, is_namespaced: bool) -> Vec<FieldError> {
    items(role, "rules")
        .iter()
        .enumerate()
        .flat_map(|(index, rule)| validate_rule(rule, is_namespaced, &format!("rules[{index}]")))
        .collect()
}

fn validate_rule(rule: &Value, is_namespaced: bool, field: &str) -> Vec<FieldError> {
    let is_empty = |name: &str| items(rule, name).is_empty();
    let mut errors = Vec::new();
    if is_empty("verbs") {
        errors.push(required(
            format!("{field}.verbs"),
            "verbs must contain at least one value",
        ));
    }
    let urls = &rule["nonResourceURLs"];
    if !is_empty("nonResourceURLs") {
        let mut reject = |detail: &str| {
            let field = format!("{field}.nonResourceURLs");
            errors.push(invalid(field, urls.clone(), detail));
        };
        if is_namespaced {
            reject("namespaced rules cannot apply to non-resource URLs");
        }
        if ["apiGroups", "resources", "resourceNames"]
            .into_iter()
            .any(|name| !is_empty(name))
        {
            reject("rules cannot apply to both regular resources and non-resource URLs");
        }
        return errors;
    }
    for (name, detail) in [
        (
            "apiGroups",
            "resource rules must supply at least one api group",
        ),
        (
            "resources",
            "resource rules must supply at least one resource",
        ),
    ] {
        if is_empty(name) {
            errors.push(required(format!("{field}.{name}"), detail));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(errors: &[FieldError]) -> Vec<&str> {
        errors.iter().map(|error| error.field.as_str()).collect()
    }

    #[test]
    fn a_rule_is_about_resources_or_about_paths() {
        let role = |rule: Value| json!({"rules": [rule]});
        for (rule, in_role, in_cluster_role) in [
            (
                json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
                vec![],
                vec![],
            ),
            (
                json!({}),
                vec!["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"],
                vec!["rules[0].verbs", "rules[0].apiGroups", "rules[0].resources"],
            ),
            (
                json!({"verbs": ["get"], "nonResourceURLs": ["/x"]}),
                vec!["rules[0].nonResourceURLs"],
                vec![],
            ),
            (
                json!({"verbs": ["get"], "nonResourceURLs": ["/x"], "resources": ["a"]}),
                vec!["rules[0].nonResourceURLs", "rules[0].nonResourceURLs"],
                vec!["rules[0].nonResourceURLs"],
            ),
        ] {
            let role = role(rule);
            assert_eq!(fields(&validate(&role)), in_role, "{role}");
            assert_eq!(
                fields(&validate_cluster_role(&role)),
                in_cluster_role,
                "{role}"
            );
        }
    }

    #[test]
    fn a_cluster_role_that_aggregates_others_has_valid_selectors() {
        let role =
            |selectors: Value| json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
        for (selectors, errors) in [
            (json!([]), vec!["aggregationRule.clusterRoleSelectors"]),
            (json!([{}]), vec![]),
            (json!([{"matchLabels": {"a": "b"}}]), vec![]),
            (
                json!([{}, {"matchLabels": {"a": "-"}}]),
                vec![
                    "aggregationRule.clusterRoleSelectors[1].matchLabels",
                    "aggregationRule.clusterRoleSelectors[1]",
                ],
            ),
        ] {
            let role = role(selectors);
            assert_eq!(fields(&validate_cluster_role(&role)), errors, "{role}");
        }
    }
}
