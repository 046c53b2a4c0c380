//! The strategies of ValidatingAdmissionPolicies and their bindings. Their
//! expressions are compiled by `rdd-apiserver-schema`.

pub(super) mod binding;
mod match_resources;

use std::collections::BTreeSet;

use rdd_apiserver_schema::names::{
    validate_dns_1035_label, validate_dns_subdomain, validate_qualified_name,
};
use rdd_apiserver_schema::{FailureReason, FieldError, PolicyProgram};
use serde_json::{Value, json};

use super::field_errors::{duplicate, invalid, invalid_for_each, required, too_many, unsupported};
use super::{object_field_mut, reset_field, string_or_empty};

/// The maximum number of match conditions.
const MAX_CONDITIONS: usize = 64;
/// The maximum number of audit annotations.
const MAX_ANNOTATIONS: usize = 20;

/// Words that CEL reserves, so that no variable can have them as its name.
const RESERVED_WORDS: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

pub(super) fn prepare_create(object: &mut Value) {
    set_defaults(object);
    if let Some(object) = object.as_object_mut() {
        object.insert("status".into(), json!({}));
    }
}

pub(super) fn prepare_update(object: &mut Value, old: &Value) {
    set_defaults(object);
    reset_field(object, old, "status");
}

fn set_defaults(object: &mut Value) {
    let Some(spec) = object_field_mut(object, "spec") else {
        return;
    };
    spec.entry("failurePolicy").or_insert_with(|| "Fail".into());
    if let Some(constraints) = spec.get_mut("matchConstraints") {
        match_resources::set_defaults(constraints);
    }
}

pub(super) fn validate_update(object: &Value, _old: &Value) -> Vec<FieldError> {
    validate(object)
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    let failure_policy = string_or_empty(&spec["failurePolicy"]);
    if !matches!(failure_policy.as_str(), "Fail" | "Ignore") {
        errors.push(unsupported(
            "spec.failurePolicy",
            failure_policy,
            &["Fail", "Ignore"],
        ));
    }
    if spec["paramKind"].is_object() {
        errors.extend(validate_param_kind(&spec["paramKind"]));
    }
    errors.extend(validate_constraints(&spec["matchConstraints"]));
    errors.extend(validate_conditions(spec));
    errors.extend(validate_variable_names(spec));
    if items(spec, "validations").is_empty() && items(spec, "auditAnnotations").is_empty() {
        for field in ["spec.validations", "spec.auditAnnotations"] {
            let detail = "validations or auditAnnotations must contain at least one item";
            errors.push(required(field, detail));
        }
    }
    errors.extend(validate_messages(spec));
    errors.extend(validate_annotation_keys(object));
    errors.extend(PolicyProgram::compile(spec).err().into_iter().flatten());
    errors
}

/// Returns the items of a list; none if there is no list.
fn items<'j>(value: &'j Value, field: &str) -> &'j [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn validate_constraints(constraints: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.matchConstraints";
    if !constraints.is_object() {
        return vec![required(FIELD, "")];
    }
    let mut errors = match_resources::validate(constraints, FIELD);
    // The rules say which types the expressions are about.
    if items(constraints, "resourceRules").is_empty() {
        errors.push(required(format!("{FIELD}.resourceRules"), ""));
    }
    errors
}

fn validate_param_kind(param_kind: &Value) -> Vec<FieldError> {
    const VERSION_FIELD: &str = "spec.paramKind.apiVersion";
    const KIND_FIELD: &str = "spec.paramKind.kind";
    let (api_version, kind) = (
        string_or_empty(&param_kind["apiVersion"]),
        string_or_empty(&param_kind["kind"]),
    );
    let mut errors = Vec::new();
    if api_version.is_empty() {
        errors.push(required(VERSION_FIELD, ""));
    } else {
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        if version.contains('/') {
            let detail = format!("unexpected GroupVersion string: {api_version}");
            errors.push(invalid(VERSION_FIELD, api_version.as_str(), &detail));
        } else {
            let mut check = |part: &str, messages: Vec<String>| {
                if !messages.is_empty() {
                    errors.push(invalid(VERSION_FIELD, part, &messages.join(",")));
                }
            };
            if !group.is_empty() {
                check(group, validate_dns_subdomain(group));
            }
            check(version, validate_dns_1035_label(version));
        }
    }
    if kind.is_empty() {
        errors.push(required(KIND_FIELD, ""));
    } else {
        let messages = validate_dns_1035_label(&kind.to_lowercase());
        if !messages.is_empty() {
            let detail = format!(
                "may have mixed case, but should otherwise match: {}",
                messages.join(",")
            );
            errors.push(invalid(KIND_FIELD, kind, &detail));
        }
    }
    errors
}

fn validate_conditions(spec: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.matchConditions";
    let conditions = items(spec, "matchConditions");
    let mut errors = Vec::new();
    if conditions.len() > MAX_CONDITIONS {
        errors.push(too_many(FIELD, conditions.len(), MAX_CONDITIONS));
    }
    let mut names = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let (name, field) = (
            string_or_empty(&condition["name"]),
            format!("{FIELD}[{index}].name"),
        );
        if name.is_empty() {
            errors.push(required(field, ""));
            continue;
        }
        errors.extend(invalid_for_each(
            &field,
            &name,
            validate_qualified_name(&name),
        ));
        if !names.insert(name.clone()) {
            errors.push(duplicate(field, name));
        }
    }
    errors
}

fn validate_variable_names(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for (index, variable) in items(spec, "variables").iter().enumerate() {
        let (name, field) = (
            string_or_empty(&variable["name"]),
            format!("spec.variables[{index}].name"),
        );
        if name.trim().is_empty() {
            errors.push(required(field, "name is not specified"));
        } else if !is_identifier(&name) {
            errors.push(invalid(field, name, "must be a valid CEL identifier"));
        } else if !names.insert(name.clone()) {
            errors.push(duplicate(field, name));
        }
    }
    errors
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED_WORDS.contains(&name)
}

/// Validates what the validations report. Their expressions are compiled later.
fn validate_messages(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, validation) in items(spec, "validations").iter().enumerate() {
        let field = |name: &str| format!("spec.validations[{index}].{name}");
        let (message, expression) = (
            string_or_empty(&validation["message"]),
            string_or_empty(&validation["expression"]),
        );
        if !message.is_empty() && message.trim().is_empty() {
            let detail = "message must be non-empty if specified";
            errors.push(invalid(field("message"), message, detail));
        } else if message.trim().contains('\n') {
            errors.push(invalid(
                field("message"),
                message,
                "must not contain line breaks",
            ));
        } else if expression.trim().contains('\n') && message.is_empty() {
            let detail = "message must be specified if expression contains line breaks";
            errors.push(required(field("message"), detail));
        }
        if let Some(reason) = validation["reason"].as_str()
            && !FailureReason::NAMES.contains(&reason)
        {
            errors.push(unsupported(field("reason"), reason, &FailureReason::NAMES));
        }
    }
    errors
}

fn validate_annotation_keys(object: &Value) -> Vec<FieldError> {
    const FIELD: &str = "spec.auditAnnotations";
    let annotations = items(&object["spec"], "auditAnnotations");
    let mut errors = Vec::new();
    if annotations.len() > MAX_ANNOTATIONS {
        let detail = format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations");
        errors.push(invalid(FIELD, annotations, &detail));
    }
    let policy = string_or_empty(&object["metadata"]["name"]);
    let mut keys = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let (key, field) = (
            string_or_empty(&annotation["key"]),
            format!("{FIELD}[{index}].key"),
        );
        if policy.is_empty() {
            let detail = "requires metadata.name be non-empty";
            errors.push(invalid(&field, key.as_str(), detail));
        } else {
            let name = format!("{policy}/{key}");
            errors.extend(invalid_for_each(
                &field,
                &name,
                validate_qualified_name(&name),
            ));
        }
        if !keys.insert(key.clone()) {
            errors.push(duplicate(field, key));
        }
    }
    errors
}

/// Validates the status. Only its type checking has fields that must be set.
pub(super) fn validate_status(object: &Value, _old: &Value) -> Vec<FieldError> {
    let warnings = items(&object["status"]["typeChecking"], "expressionWarnings");
    let mut errors = Vec::new();
    for (index, warning) in warnings.iter().enumerate() {
        let field = |name: &str| format!("status.typeChecking.expressionWarnings[{index}].{name}");
        if string_or_empty(&warning["warning"]).trim().is_empty() {
            errors.push(required(field("warning"), ""));
        }
        if string_or_empty(&warning["fieldRef"]).trim().is_empty() {
            errors.push(required(field("fieldRef"), ""));
        }
    }
    errors
}

#[cfg(test)]
mod tests;
