//! Validation of a definition's group, names, and scope.

use rdd_apiserver_schema::FieldError;
use serde_json::Value;

use super::super::field_errors::{invalid, invalid_for_each, required, unsupported};
use super::super::string_or_empty;
use rdd_apiserver_schema::names::{validate_dns_1035_label, validate_dns_subdomain};

const APPROVAL_ANNOTATION: &str = "api-approved.kubernetes.io";
const APPROVAL_URL: &str = "https://github.com/kubernetes/enhancements/pull/1111";
/// Domains of the Kubernetes project, whose groups need its approval.
const PROTECTED_DOMAINS: [&str; 2] = ["k8s.io", "kubernetes.io"];

/// Validates that a group of the Kubernetes project has the approval annotation.
pub(super) fn validate_approval(object: &Value) -> Vec<FieldError> {
    let group = string_or_empty(&object["spec"]["group"]);
    let is_protected = PROTECTED_DOMAINS.iter().any(|domain| {
        group == *domain
            || group
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
    });
    if !is_protected {
        return Vec::new();
    }
    let field = format!("metadata.annotations[{APPROVAL_ANNOTATION}]");
    let requirement =
        format!("protected groups must have approval annotation \"{APPROVAL_ANNOTATION}\"");
    let approval = string_or_empty(&object["metadata"]["annotations"][APPROVAL_ANNOTATION]);
    if approval.is_empty() {
        return vec![required(
            field,
            &format!("{requirement}, see {APPROVAL_URL}"),
        )];
    }
    if approval.starts_with("unapproved") || is_url(&approval) {
        return Vec::new();
    }
    let detail = format!(
        "{requirement} with either a URL or a reason starting with \"unapproved\", see {APPROVAL_URL}"
    );
    vec![invalid(field, approval, &detail)]
}

fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        let host = rest.split('/').next().unwrap_or_default();
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !host.is_empty()
    })
}

/// Checks that the name of a new definition is made of its other names, which never
/// change.
pub(super) fn validate_object_name(object: &Value) -> Option<FieldError> {
    let spec = &object["spec"];
    let (name, plural, group) = (
        string_or_empty(&object["metadata"]["name"]),
        string_or_empty(&spec["names"]["plural"]),
        string_or_empty(&spec["group"]),
    );
    let detail = "must be spec.names.plural+\".\"+spec.group";
    (name != format!("{plural}.{group}")).then(|| invalid("metadata.name", name, detail))
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let spec = &object["spec"];
    let group = string_or_empty(&spec["group"]);
    let mut errors = Vec::new();
    errors.extend(validate_group(&group));
    errors.extend(validate_scope(&string_or_empty(&spec["scope"])));
    errors.extend(validate_names(&spec["names"]));
    errors
}

fn validate_group(group: &str) -> Vec<FieldError> {
    const FIELD: &str = "spec.group";
    if group.is_empty() {
        return vec![required(FIELD, "")];
    }
    let errors: Vec<FieldError> =
        invalid_for_each(FIELD, group, validate_dns_subdomain(group)).collect();
    if errors.is_empty() && !group.contains('.') {
        return vec![invalid(
            FIELD,
            group,
            "should be a domain with at least one dot",
        )];
    }
    errors
}

fn validate_scope(scope: &str) -> Option<FieldError> {
    match scope {
        "Cluster" | "Namespaced" => None,
        "" => Some(required("spec.scope", "")),
        other => Some(unsupported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
}

fn validate_names(names: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, is_kind) in [
        ("plural", false),
        ("singular", false),
        ("kind", true),
        ("listKind", true),
    ] {
        let name = string_or_empty(&names[field]);
        let field = format!("spec.names.{field}");
        if name.is_empty() {
            errors.push(required(field, ""));
        } else if is_kind {
            let messages = validate_dns_1035_label(&name.to_lowercase());
            if !messages.is_empty() {
                let detail = format!(
                    "may have mixed case, but should otherwise match: {}",
                    messages.join(",")
                );
                errors.push(invalid(field, name, &detail));
            }
        } else {
            errors.extend(invalid_for_each(
                &field,
                &name,
                validate_dns_1035_label(&name),
            ));
        }
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in names[field].as_array().into_iter().flatten().enumerate() {
            let name = string_or_empty(name);
            errors.extend(invalid_for_each(
                &format!("spec.names.{field}[{index}]"),
                &name,
                validate_dns_1035_label(&name),
            ));
        }
    }
    let (kind, list_kind) = (
        string_or_empty(&names["kind"]),
        string_or_empty(&names["listKind"]),
    );
    if !kind.is_empty() && kind == list_kind {
        errors.push(invalid(
            "spec.names.listKind",
            list_kind,
            "kind and listKind may not be the same",
        ));
    }
    errors
}
