//! Generation of the schemas from the API bindings.

use k8s_openapi::api::{
    admissionregistration, authentication, authorization, autoscaling, coordination, core, events,
    rbac,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta;
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::topology::add_topologies;
use super::{TOP_LEVEL_TYPES, UNTYPED_UNIONS, gvk, short_name};

/// Returns every built-in schema by its name.
pub(super) fn generate() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| {
            settings.meta_schema = None;
            settings.definitions_path = "/components/schemas".into();
        })
        .into_generator();
    add_type::<core::v1::Namespace>(&mut generator);
    add_type::<core::v1::ConfigMap>(&mut generator);
    add_type::<core::v1::Secret>(&mut generator);
    add_type::<core::v1::Event>(&mut generator);
    add_type::<core::v1::ServiceAccount>(&mut generator);
    add_type::<core::v1::ResourceQuota>(&mut generator);
    add_type::<core::v1::LimitRange>(&mut generator);
    add_type::<core::v1::Service>(&mut generator);
    add_type::<coordination::v1::Lease>(&mut generator);
    add_type::<events::v1::Event>(&mut generator);
    add_type::<apiextensions::v1::CustomResourceDefinition>(&mut generator);
    add_type::<admissionregistration::v1::ValidatingAdmissionPolicy>(&mut generator);
    add_type::<admissionregistration::v1::ValidatingAdmissionPolicyBinding>(&mut generator);
    add_type::<rbac::v1::Role>(&mut generator);
    add_type::<rbac::v1::ClusterRole>(&mut generator);
    add_type::<rbac::v1::RoleBinding>(&mut generator);
    add_type::<rbac::v1::ClusterRoleBinding>(&mut generator);
    add_type::<authentication::v1::SelfSubjectReview>(&mut generator);
    add_type::<authentication::v1::TokenReview>(&mut generator);
    add_type::<authorization::v1::LocalSubjectAccessReview>(&mut generator);
    add_type::<authorization::v1::SelfSubjectAccessReview>(&mut generator);
    add_type::<authorization::v1::SelfSubjectRulesReview>(&mut generator);
    add_type::<authorization::v1::SubjectAccessReview>(&mut generator);
    add_type::<autoscaling::v1::Scale>(&mut generator);
    add_type::<meta::v1::Status>(&mut generator);
    add_type::<meta::v1::DeleteOptions>(&mut generator);
    add_type::<meta::v1::ListMeta>(&mut generator);
    add_type::<meta::v1::Patch>(&mut generator);
    let mut schemas: Map<String, Value> = generator
        .take_definitions(false)
        .into_iter()
        .map(|(name, schema)| (name, wrap_references(schema)))
        .collect();
    for (name, schema) in &mut schemas {
        adapt_schema(short_name(name), schema);
    }
    for (name, group, version, kind) in TOP_LEVEL_TYPES {
        if let Some(Value::Object(schema)) = schemas.get_mut(name) {
            schema.insert(
                "x-kubernetes-group-version-kind".into(),
                gvk(group, version, kind),
            );
        }
    }
    schemas
}

fn add_type<T: JsonSchema>(generator: &mut SchemaGenerator) {
    // The generator keeps the definition; the reference to it is not needed.
    drop(generator.subschema_for::<T>());
}

/// Wraps references that have sibling keywords in an `allOf`, because OpenAPI 3.0 ignores the siblings
/// of a `$ref`.
fn wrap_references(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut map: Map<String, Value> = map
                .into_iter()
                .map(|(k, v)| (k, wrap_references(v)))
                .collect();
            // A property may also be named `$ref`; only a string is a reference.
            if map.len() > 1
                && map.get("$ref").is_some_and(Value::is_string)
                && let Some(target) = map.remove("$ref")
            {
                map.insert("allOf".into(), json!([{"$ref": target}]));
            }
            Value::Object(map)
        }
        Value::Array(list) => list.into_iter().map(wrap_references).collect(),
        other => other,
    }
}

/// Adds what the bindings omit from a type's schema, and removes what they add.
fn adapt_schema(type_name: &str, schema: &mut Value) {
    if UNTYPED_UNIONS.contains(&type_name)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.retain(|key, _| key == "description");
    }
    // The bindings require metadata everywhere. Of the built-in types, only the core Event does.
    let is_core_event = schema["properties"]["involvedObject"].is_object();
    if !is_core_event && let Some(required) = schema["required"].as_array_mut() {
        required.retain(|field| field != "metadata");
        let is_now_empty = required.is_empty();
        if let (true, Some(schema)) = (is_now_empty, schema.as_object_mut()) {
            schema.remove("required");
        }
    }
    add_topologies(type_name, schema);
}
