//! The types that a policy matches, for `status.typeChecking`.

use std::collections::BTreeSet;

use rdd_apiserver_kinds::builtin;
use rdd_apiserver_schema::{MatchedType, PolicyProgram};
use serde_json::{Map, Value, json};

use super::params::ParamKind;
use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;
use crate::strategy::ResourceStrategy;

/// The maximum number of types that a policy is checked with: upstream's limit.
const MAX_TYPES: usize = 10;

/// Returns `status.typeChecking` of a policy.
pub(crate) fn check(registry: &ResourceRegistry, spec: &Value) -> Value {
    let types: Vec<MatchedType> = matched_resources(registry, spec)
        .into_iter()
        .take(MAX_TYPES)
        .map(|resource| MatchedType {
            name: type_name(resource),
            schema: schema(resource),
        })
        .collect();
    let params = ParamKind::from_spec(spec)
        .and_then(|kind| kind.find(registry).ok().map(|resource| schema(resource)));
    let warnings: Vec<Value> = PolicyProgram::check_types(spec, &types, params.as_ref())
        .into_iter()
        .map(|warning| json!({"fieldRef": warning.field, "warning": warning.warning}))
        .collect();
    let mut checking = Map::new();
    if !warnings.is_empty() {
        checking.insert("expressionWarnings".to_owned(), warnings.into());
    }
    Value::Object(checking)
}

/// Returns the resources that the rules of a policy name, without wildcards and
/// subresources, in the order of their names.
fn matched_resources<'r>(registry: &'r ResourceRegistry, spec: &Value) -> Vec<&'r ServedResource> {
    let mut names = BTreeSet::new();
    let rules = spec["matchConstraints"]["resourceRules"].as_array();
    for rule in rules.into_iter().flatten() {
        let texts = |field: &str| {
            let list = rule[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let (groups, versions) = (texts("apiGroups"), texts("apiVersions"));
        if [&groups, &versions].iter().any(|list| list.contains(&"*")) {
            continue;
        }
        for group in &groups {
            for version in &versions {
                for resource in texts("resources") {
                    names.insert((
                        (*group).to_owned(),
                        (*version).to_owned(),
                        resource.to_owned(),
                    ));
                }
            }
        }
    }
    names
        .iter()
        .filter_map(|(group, version, resource)| registry.get(group, version, resource))
        .map(AsRef::as_ref)
        .collect()
}

/// Returns the name of a type in upstream's form: `/v1, Kind=ConfigMap`.
fn type_name(resource: &ServedResource) -> String {
    let kind = &resource.kind;
    format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind)
}

/// Returns the schema of a resource. That of a custom resource gets the fields
/// that all objects have.
fn schema(resource: &ServedResource) -> Value {
    let custom = match &resource.strategy {
        ResourceStrategy::Builtin(builtin) => return builtin.kind.schema().clone(),
        ResourceStrategy::Custom(custom) => custom,
    };
    let mut schema = custom.openapi_schema.as_ref().clone();
    let common = builtin::find("", "v1", "configmaps").map(|kind| &kind.schema()["properties"]);
    let properties = schema
        .as_object_mut()
        .map(|schema| schema.entry("properties").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut);
    if let (Some(properties), Some(common)) = (properties, common) {
        for field in ["apiVersion", "kind", "metadata"] {
            properties.insert(field.to_owned(), common[field].clone());
        }
    }
    schema
}
