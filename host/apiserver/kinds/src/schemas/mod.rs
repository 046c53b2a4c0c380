//! The OpenAPI schemas of the built-in types, in the form of `components.schemas` in Kubernetes'
//! OpenAPI documents.
//!
//! The types come from the generated API bindings. The tables here and in `topology` add what the
//! bindings do not contain: list and map topologies, groups, and versions.

mod generate;
mod topology;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// The prefix of a reference to another schema.
pub(crate) const REF_PREFIX: &str = "#/components/schemas/";
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub(crate) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(crate) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(crate) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(crate) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(crate) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Unions that a structural schema cannot express. Only their descriptions say what they allow.
const UNTYPED_UNIONS: [&str; 4] = [
    "JSON",
    "JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrStringArray",
];

/// Types of request and response bodies, with their group, version, and kind.
const TOP_LEVEL_TYPES: [(&str, &str, &str, &str); 26] = [
    ("io.k8s.api.core.v1.Namespace", "", "v1", "Namespace"),
    ("io.k8s.api.core.v1.ConfigMap", "", "v1", "ConfigMap"),
    ("io.k8s.api.core.v1.Secret", "", "v1", "Secret"),
    ("io.k8s.api.core.v1.Event", "", "v1", "Event"),
    (
        "io.k8s.api.core.v1.ServiceAccount",
        "",
        "v1",
        "ServiceAccount",
    ),
    (
        "io.k8s.api.core.v1.ResourceQuota",
        "",
        "v1",
        "ResourceQuota",
    ),
    ("io.k8s.api.core.v1.LimitRange", "", "v1", "LimitRange"),
    ("io.k8s.api.core.v1.Service", "", "v1", "Service"),
    (
        "io.k8s.api.coordination.v1.Lease",
        "coordination.k8s.io",
        "v1",
        "Lease",
    ),
    ("io.k8s.api.events.v1.Event", "events.k8s.io", "v1", "Event"),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ),
    (
        "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
    ),
    (
        "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
    ),
    (
        "io.k8s.api.rbac.v1.Role",
        "rbac.authorization.k8s.io",
        "v1",
        "Role",
    ),
    (
        "io.k8s.api.rbac.v1.ClusterRole",
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
    ),
    (
        "io.k8s.api.rbac.v1.RoleBinding",
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
    ),
    (
        "io.k8s.api.rbac.v1.ClusterRoleBinding",
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
    ),
    (
        "io.k8s.api.authentication.v1.SelfSubjectReview",
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
    ),
    (
        "io.k8s.api.authentication.v1.TokenReview",
        "authentication.k8s.io",
        "v1",
        "TokenReview",
    ),
    (
        "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview",
    ),
    (
        "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
    ),
    (
        "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
    ),
    (
        "io.k8s.api.authorization.v1.SubjectAccessReview",
        "authorization.k8s.io",
        "v1",
        "SubjectAccessReview",
    ),
    (SCALE, "autoscaling", "v1", "Scale"),
    (STATUS, "", "v1", "Status"),
    (DELETE_OPTIONS, "", "v1", "DeleteOptions"),
];

/// Every built-in schema by its name.
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(generate::generate);

/// The schemas of [`TOP_LEVEL_TYPES`] without references, by name.
static INLINED: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(|| {
    TOP_LEVEL_TYPES
        .iter()
        .filter_map(|(name, ..)| Some((*name, inline(SCHEMAS.get(*name)?, &mut vec![name]))))
        .collect()
});

/// Returns the schema with this name, including its references.
pub(crate) fn get(name: &str) -> Option<&'static Value> {
    SCHEMAS.get(name)
}

/// Returns the schema of a top-level type without references. A type within itself is replaced with
/// an object that preserves unknown fields.
pub(crate) fn inlined(name: &str) -> Option<&'static Value> {
    INLINED.get(name)
}

/// Returns the description of a schema's field, or an empty string if it has none.
pub(crate) fn field_description(schema: &str, field: &str) -> &'static str {
    SCHEMAS
        .get(schema)
        .and_then(|s| s["properties"][field]["description"].as_str())
        .unwrap_or_default()
}

/// Returns the description of a field of `ObjectMeta`.
pub(crate) fn object_meta_field(field: &str) -> &'static str {
    field_description(OBJECT_META, field)
}

/// Returns the name of the schema that `schema` refers to.
pub(crate) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())
        .and_then(|r| r.strip_prefix(REF_PREFIX))
}

/// Returns a type's name without its package.
pub(crate) fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Returns the value of `x-kubernetes-group-version-kind`.
pub(crate) fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!([{"group": group, "version": version, "kind": kind}])
}

/// Returns a copy of `schema` in which every reference is replaced with its target. `within` contains
/// the names of the enclosing types.
fn inline<'s>(schema: &'s Value, within: &mut Vec<&'s str>) -> Value {
    if let Some(name) = reference(schema) {
        let Some(target) = SCHEMAS.get(name).filter(|_| !within.contains(&name)) else {
            return json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        };
        within.push(name);
        let mut inlined = inline(target, within);
        within.pop();
        if let Some(inlined) = inlined.as_object_mut() {
            if UNTYPED_UNIONS.contains(&short_name(name)) {
                inlined.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
            }
            for (key, value) in schema.as_object().into_iter().flatten() {
                if key != "$ref" && key != "allOf" {
                    inlined.insert(key.clone(), value.clone());
                }
            }
        }
        return inlined;
    }
    match schema {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), inline(value, within)))
                .collect(),
        ),
        Value::Array(list) => list.iter().map(|item| inline(item, within)).collect(),
        other => other.clone(),
    }
}

/// Adds the names of all schemas that `schema` refers to, directly or indirectly, to `found`.
pub(crate) fn collect_references<'s>(schema: &'s Value, found: &mut Vec<&'s str>)
where
    'static: 's,
{
    match schema {
        Value::Object(map) => {
            if let Some(name) = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|r| r.strip_prefix(REF_PREFIX))
                && !found.contains(&name)
            {
                found.push(name);
                if let Some(target) = SCHEMAS.get(name) {
                    collect_references(target, found);
                }
            }
            map.values()
                .for_each(|value| collect_references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
