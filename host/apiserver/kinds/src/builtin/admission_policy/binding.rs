//! The strategy of ValidatingAdmissionPolicyBindings.

use std::collections::BTreeSet;

use rdd_apiserver_schema::FieldError;
use rdd_apiserver_schema::names::{validate_dns_subdomain, validate_path_segment};
use serde_json::Value;

use super::super::field_errors::{
    duplicate, forbidden, invalid, invalid_for_each, required, unsupported,
};
use super::super::{label_selector, string_or_empty};
use super::{items, match_resources};

/// What a binding may do about a failed validation, sorted.
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
/// What a binding may do without parameters.
const NOT_FOUND_ACTIONS: [&str; 2] = ["Allow", "Deny"];

pub(in crate::builtin) fn prepare_create(object: &mut Value) {
    if let Some(resources) = object.pointer_mut("/spec/matchResources") {
        match_resources::set_defaults(resources);
    }
}

pub(in crate::builtin) fn prepare_update(object: &mut Value, _old: &Value) {
    prepare_create(object);
}

pub(in crate::builtin) fn validate_update(object: &Value, _old: &Value) -> Vec<FieldError> {
    validate(object)
}

pub(in crate::builtin) fn validate(object: &Value) -> Vec<FieldError> {
    const POLICY_FIELD: &str = "spec.policyName";
    let spec = &object["spec"];
    let policy = string_or_empty(&spec["policyName"]);
    let mut errors = Vec::new();
    if policy.is_empty() {
        errors.push(required(POLICY_FIELD, ""));
    } else {
        let messages = validate_dns_subdomain(&policy);
        errors.extend(invalid_for_each(POLICY_FIELD, &policy, messages));
    }
    if spec["paramRef"].is_object() {
        errors.extend(validate_param_ref(&spec["paramRef"]));
    }
    if spec["matchResources"].is_object() {
        errors.extend(match_resources::validate(
            &spec["matchResources"],
            "spec.matchResources",
        ));
    }
    errors.extend(validate_actions(items(spec, "validationActions")));
    errors
}

fn validate_param_ref(param_ref: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.paramRef";
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    let name = string_or_empty(&param_ref["name"]);
    let has_selector = param_ref["selector"].is_object();
    let field = |name: &str| format!("{FIELD}.{name}");
    let mut errors = Vec::new();
    if !name.is_empty() {
        let messages = validate_path_segment(&name);
        errors.extend(invalid_for_each(&field("name"), &name, messages));
        if has_selector {
            errors.push(forbidden(field("name"), EXCLUSIVE));
        }
    }
    if has_selector {
        errors.extend(label_selector::validate(
            &param_ref["selector"],
            &field("selector"),
        ));
        if !name.is_empty() {
            errors.push(forbidden(field("selector"), EXCLUSIVE));
        }
    } else if name.is_empty() {
        errors.push(required(FIELD, "one of name or selector must be specified"));
    }
    match string_or_empty(&param_ref["parameterNotFoundAction"]).as_str() {
        "" => errors.push(required(field("parameterNotFoundAction"), "")),
        action if NOT_FOUND_ACTIONS.contains(&action) => {}
        action => errors.push(unsupported(
            field("parameterNotFoundAction"),
            action,
            &NOT_FOUND_ACTIONS,
        )),
    }
    errors
}

fn validate_actions(actions: &[Value]) -> Vec<FieldError> {
    const FIELD: &str = "spec.validationActions";
    let mut errors = Vec::new();
    let mut found = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        let action = string_or_empty(action);
        let field = format!("{FIELD}[{index}]");
        if !ACTIONS.contains(&action.as_str()) {
            errors.push(unsupported(&field, action.as_str(), &ACTIONS));
        }
        if !found.insert(action.clone()) {
            errors.push(duplicate(field, action));
        }
    }
    if found.contains("Deny") && found.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(invalid(FIELD, actions, detail));
    }
    if found.is_empty() {
        let detail = "at least one validation action is required";
        errors.push(required(FIELD, detail));
    }
    errors
}
