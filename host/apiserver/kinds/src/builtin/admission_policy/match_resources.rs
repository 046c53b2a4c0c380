//! What a policy or a binding matches: resources, namespaces, and labels.

use std::collections::BTreeSet;

use rdd_apiserver_schema::FieldError;
use rdd_apiserver_schema::names::validate_path_segment;
use serde_json::{Value, json};

use super::super::field_errors::{duplicate, invalid, invalid_for_each, required, unsupported};
use super::super::{label_selector, string_or_empty};
use super::items;

/// The operations that a rule may name, sorted.
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
/// The fields with rules.
const RULE_FIELDS: [&str; 2] = ["resourceRules", "excludeResourceRules"];
/// Matches everything.
const WILDCARD: &str = "*";

pub(super) fn set_defaults(resources: &mut Value) {
    let Some(fields) = resources.as_object_mut() else {
        return;
    };
    fields
        .entry("matchPolicy")
        .or_insert_with(|| "Equivalent".into());
    for selector in ["namespaceSelector", "objectSelector"] {
        fields.entry(selector).or_insert_with(|| json!({}));
    }
    for rules in RULE_FIELDS {
        let rules = fields.get_mut(rules).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.entry("scope").or_insert_with(|| WILDCARD.into());
        }
    }
}

pub(super) fn validate(resources: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let match_policy = string_or_empty(&resources["matchPolicy"]);
    if !MATCH_POLICIES.contains(&match_policy.as_str()) {
        let field = format!("{path}.matchPolicy");
        errors.push(unsupported(field, match_policy, &MATCH_POLICIES));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        let field = format!("{path}.{selector}");
        errors.extend(label_selector::validate(&resources[selector], &field));
    }
    for rules in RULE_FIELDS {
        for (index, rule) in items(resources, rules).iter().enumerate() {
            errors.extend(validate_rule(rule, &format!("{path}.{rules}[{index}]")));
        }
    }
    errors
}

fn texts(rule: &Value, field: &str) -> Vec<String> {
    items(rule, field).iter().map(string_or_empty).collect()
}

fn has_wildcard(texts: &[String]) -> bool {
    texts.iter().any(|text| text == WILDCARD)
}

fn validate_rule(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = validate_resource_names(rule, &format!("{path}.resourceNames"));
    for (list, others) in [
        ("apiGroups", "API groups"),
        ("apiVersions", "API versions"),
        ("operations", "operations"),
    ] {
        let (field, entries) = (format!("{path}.{list}"), texts(rule, list));
        if entries.is_empty() {
            errors.push(required(&field, ""));
        }
        if entries.len() > 1 && has_wildcard(&entries) {
            let detail = format!("if '*' is present, must not specify other {others}");
            errors.push(invalid(&field, entries.clone(), &detail));
        }
        for (index, entry) in entries.into_iter().enumerate() {
            let field = format!("{field}[{index}]");
            match list {
                "apiVersions" if entry.is_empty() => errors.push(required(field, "")),
                "operations" if !OPERATIONS.contains(&entry.as_str()) => {
                    errors.push(unsupported(field, entry, &OPERATIONS));
                }
                _ => {}
            }
        }
    }
    errors.extend(validate_resources(
        &texts(rule, "resources"),
        &format!("{path}.resources"),
    ));
    let scope = string_or_empty(&rule["scope"]);
    if !SCOPES.contains(&scope.as_str()) {
        errors.push(unsupported(format!("{path}.scope"), scope, &SCOPES));
    }
    errors
}

fn validate_resource_names(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut found = BTreeSet::new();
    for (index, name) in texts(rule, "resourceNames").into_iter().enumerate() {
        let field = format!("{path}[{index}]");
        let messages = validate_path_segment(&name);
        errors.extend(invalid_for_each(&field, &name, messages));
        if !found.insert(name.clone()) {
            errors.push(duplicate(field, name));
        }
    }
    errors
}

/// Validates `resource`, `resource/subresource`, and their wildcards.
fn validate_resources(resources: &[String], path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if resources.is_empty() {
        errors.push(required(path, ""));
    }
    let (mut any_subresource_of, mut subresource_of_any) = (BTreeSet::new(), BTreeSet::new());
    for (index, entry) in resources.iter().enumerate() {
        let field = format!("{path}[{index}]");
        if entry.is_empty() {
            errors.push(required(field, ""));
            continue;
        }
        let Some((resource, subresource)) = entry.split_once('/') else {
            continue;
        };
        let mut reject = |wildcard: String| {
            let detail = format!("if '{wildcard}' is present, must not specify {entry}");
            errors.push(invalid(&field, entry.as_str(), &detail));
        };
        if any_subresource_of.contains(resource) {
            reject(format!("{resource}/*"));
        }
        if subresource_of_any.contains(subresource) {
            reject(format!("*/{subresource}"));
        }
        if subresource == WILDCARD {
            any_subresource_of.insert(resource);
        }
        if resource == WILDCARD {
            subresource_of_any.insert(subresource);
        }
    }
    let has_all = resources.iter().any(|entry| entry == "*/*");
    if resources.len() > 1 && has_all {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.push(invalid(path, resources, detail));
    }
    let has_plain = resources
        .iter()
        .any(|entry| entry != WILDCARD && !entry.is_empty() && !entry.contains('/'));
    if has_wildcard(resources) && has_plain {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(invalid(path, resources, detail));
    }
    errors
}
