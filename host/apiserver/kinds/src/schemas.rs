//! The OpenAPI schemas of the built-in types, in the form in which
//! Kubernetes publishes them under `components.schemas`.
//!
//! The types come from the generated API bindings; what those do not carry
//! (list and map topologies, groups and versions) is added by the tables
//! below.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::api::{authentication, authorization, autoscaling, coordination, core, events};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta;
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

/// Where one schema refers to another one.
pub(crate) const REF_PREFIX: &str = "#/components/schemas/";
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub(crate) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(crate) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(crate) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(crate) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(crate) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Unions that OpenAPI cannot describe in a structural way: what they allow
/// stands in their description alone.
const UNTYPED: [&str; 4] = [
    "JSON",
    "JSONSchemaPropsOrBool",
    "JSONSchemaPropsOrArray",
    "JSONSchemaPropsOrStringArray",
];

/// What a list or map is, for server-side apply and for strategic patches.
#[derive(Clone, Copy)]
enum Topology {
    /// A map that is owned and replaced as a whole.
    AtomicMap,
    /// A list that is owned and replaced as a whole.
    AtomicList,
    /// A set of scalars.
    Set,
    /// A list whose items are told apart by one field.
    Keyed(&'static str),
}

/// Type (without its package), field (empty for the type itself), topology.
const TOPOLOGIES: [(&str, &str, Topology); 27] = [
    ("ObjectMeta", "finalizers", Topology::Set),
    ("ObjectMeta", "managedFields", Topology::AtomicList),
    ("ObjectMeta", "ownerReferences", Topology::Keyed("uid")),
    ("OwnerReference", "", Topology::AtomicMap),
    ("DeleteOptions", "dryRun", Topology::AtomicList),
    ("StatusDetails", "causes", Topology::AtomicList),
    ("LocalObjectReference", "", Topology::AtomicMap),
    ("ObjectReference", "", Topology::AtomicMap),
    ("ServiceAccount", "imagePullSecrets", Topology::AtomicList),
    ("ServiceAccount", "secrets", Topology::Keyed("name")),
    ("NamespaceSpec", "finalizers", Topology::AtomicList),
    ("NamespaceStatus", "conditions", Topology::Keyed("type")),
    (
        "CustomResourceDefinitionNames",
        "categories",
        Topology::AtomicList,
    ),
    (
        "CustomResourceDefinitionNames",
        "shortNames",
        Topology::AtomicList,
    ),
    (
        "CustomResourceDefinitionSpec",
        "versions",
        Topology::AtomicList,
    ),
    (
        "CustomResourceDefinitionStatus",
        "conditions",
        Topology::Keyed("type"),
    ),
    (
        "CustomResourceDefinitionStatus",
        "storedVersions",
        Topology::AtomicList,
    ),
    (
        "CustomResourceDefinitionVersion",
        "additionalPrinterColumns",
        Topology::AtomicList,
    ),
    (
        "CustomResourceDefinitionVersion",
        "selectableFields",
        Topology::AtomicList,
    ),
    (
        "WebhookConversion",
        "conversionReviewVersions",
        Topology::AtomicList,
    ),
    ("JSONSchemaProps", "allOf", Topology::AtomicList),
    ("JSONSchemaProps", "anyOf", Topology::AtomicList),
    ("JSONSchemaProps", "enum", Topology::AtomicList),
    ("JSONSchemaProps", "oneOf", Topology::AtomicList),
    ("JSONSchemaProps", "required", Topology::AtomicList),
    (
        "JSONSchemaProps",
        "x-kubernetes-list-map-keys",
        Topology::AtomicList,
    ),
    (
        "JSONSchemaProps",
        "x-kubernetes-validations",
        Topology::Keyed("rule"),
    ),
];

/// Types that are sent or answered on their own, with group, version and kind.
const TOP_LEVEL_TYPES: [(&str, &str, &str, &str); 17] = [
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
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(generate);

/// The schemas of [`TOPS`] without references, by name.
static INLINED: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(|| {
    TOP_LEVEL_TYPES
        .iter()
        .filter_map(|(name, ..)| Some((*name, inline(SCHEMAS.get(*name)?, &mut vec![name]))))
        .collect()
});

/// The schema of that name, with its references.
pub(crate) fn get(name: &str) -> Option<&'static Value> {
    SCHEMAS.get(name)
}

/// The schema of a type that is sent on its own, without references. Where a
/// type contains itself, the inner one is an object that keeps unknown fields.
pub(crate) fn inlined(name: &str) -> Option<&'static Value> {
    INLINED.get(name)
}

/// What a schema says about one of its fields; empty when it says nothing.
pub(crate) fn field_description(schema: &str, field: &str) -> &'static str {
    SCHEMAS
        .get(schema)
        .and_then(|s| s["properties"][field]["description"].as_str())
        .unwrap_or_default()
}

/// What `ObjectMeta` says about one of its fields.
pub(crate) fn object_meta_field(field: &str) -> &'static str {
    field_description(OBJECT_META, field)
}

/// The name of the schema that `schema` refers to.
pub(crate) fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())
        .and_then(|r| r.strip_prefix(REF_PREFIX))
}

/// A type's name without its package.
pub(crate) fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn generate() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| {
            settings.meta_schema = None;
            settings.definitions_path = "/components/schemas".into();
        })
        .into_generator();
    add::<core::v1::Namespace>(&mut generator);
    add::<core::v1::ConfigMap>(&mut generator);
    add::<core::v1::Secret>(&mut generator);
    add::<core::v1::Event>(&mut generator);
    add::<core::v1::ServiceAccount>(&mut generator);
    add::<coordination::v1::Lease>(&mut generator);
    add::<events::v1::Event>(&mut generator);
    add::<apiextensions::v1::CustomResourceDefinition>(&mut generator);
    add::<authentication::v1::SelfSubjectReview>(&mut generator);
    add::<authentication::v1::TokenReview>(&mut generator);
    add::<authorization::v1::LocalSubjectAccessReview>(&mut generator);
    add::<authorization::v1::SelfSubjectAccessReview>(&mut generator);
    add::<authorization::v1::SelfSubjectRulesReview>(&mut generator);
    add::<authorization::v1::SubjectAccessReview>(&mut generator);
    add::<autoscaling::v1::Scale>(&mut generator);
    add::<meta::v1::Status>(&mut generator);
    add::<meta::v1::DeleteOptions>(&mut generator);
    add::<meta::v1::ListMeta>(&mut generator);
    add::<meta::v1::Patch>(&mut generator);
    let mut schemas: Map<String, Value> = generator
        .take_definitions(false)
        .into_iter()
        .map(|(name, schema)| (name, wrap_references(schema)))
        .collect();
    for (name, schema) in &mut schemas {
        adapt(short_name(name), schema);
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

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    // Only the definition is wanted, which the generator keeps by itself.
    drop(generator.subschema_for::<T>());
}

/// The value of `x-kubernetes-group-version-kind`.
pub(crate) fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!([{"group": group, "version": version, "kind": kind}])
}

/// OpenAPI 3.0 ignores what stands beside a `$ref`: such a reference goes
/// into an `allOf`.
fn wrap_references(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut map: Map<String, Value> = map
                .into_iter()
                .map(|(k, v)| (k, wrap_references(v)))
                .collect();
            // A property may be called `$ref` too: only a text refers.
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

/// Adds what the bindings leave out of a type's schema, and takes away what
/// they add.
fn adapt(type_name: &str, schema: &mut Value) {
    if UNTYPED.contains(&type_name)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.retain(|key, _| key == "description");
    }
    // The bindings ask for metadata everywhere; of the built-in types only
    // the core Event does.
    let is_core_event = schema["properties"]["involvedObject"].is_object();
    if !is_core_event && let Some(required) = schema["required"].as_array_mut() {
        required.retain(|field| field != "metadata");
        let nothing_left = required.is_empty();
        if let (true, Some(schema)) = (nothing_left, schema.as_object_mut()) {
            schema.remove("required");
        }
    }
    for (_, field, topology) in TOPOLOGIES.iter().filter(|(name, ..)| *name == type_name) {
        let place = match *field {
            "" => Some(&mut *schema),
            field => schema["properties"].get_mut(field),
        };
        if let Some(Value::Object(place)) = place {
            topology.describe(place);
        }
    }
}

impl Topology {
    fn describe(self, schema: &mut Map<String, Value>) {
        match self {
            Self::AtomicMap => {
                schema.insert("x-kubernetes-map-type".into(), "atomic".into());
            }
            Self::AtomicList => {
                schema.insert("x-kubernetes-list-type".into(), "atomic".into());
            }
            Self::Set => {
                schema.insert("x-kubernetes-list-type".into(), "set".into());
                schema.insert("x-kubernetes-patch-strategy".into(), "merge".into());
            }
            Self::Keyed(key) => {
                schema.insert("x-kubernetes-list-type".into(), "map".into());
                schema.insert("x-kubernetes-list-map-keys".into(), json!([key]));
                schema.insert("x-kubernetes-patch-strategy".into(), "merge".into());
                schema.insert("x-kubernetes-patch-merge-key".into(), key.into());
            }
        }
    }
}

/// A copy of `schema` with every reference replaced by what it refers to.
/// `within` are the types that the place lies in.
fn inline<'s>(schema: &'s Value, within: &mut Vec<&'s str>) -> Value {
    if let Some(name) = reference(schema) {
        let Some(target) = SCHEMAS.get(name).filter(|_| !within.contains(&name)) else {
            return json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        };
        within.push(name);
        let mut inlined = inline(target, within);
        within.pop();
        if let Some(inlined) = inlined.as_object_mut() {
            if UNTYPED.contains(&short_name(name)) {
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

/// The names of every schema that `schema` refers to, directly or not, added
/// to `found`.
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
mod tests {
    use super::*;

    fn has_reference(schema: &Value) -> bool {
        let mut found = Vec::new();
        collect_references(schema, &mut found);
        !found.is_empty()
    }

    #[test]
    fn every_sent_type_has_a_schema_with_its_kind_and_prose() {
        for (name, group, version, kind) in TOP_LEVEL_TYPES {
            let schema = get(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(
                schema["x-kubernetes-group-version-kind"],
                gvk(group, version, kind)
            );
            assert!(schema["description"].as_str().unwrap().len() > 10, "{name}");
            assert!(!has_reference(inlined(name).unwrap()), "{name}");
        }
    }

    #[test]
    fn every_topology_finds_its_field() {
        for (type_name, field, _) in TOPOLOGIES {
            let (_, schema) = SCHEMAS
                .iter()
                .find(|(name, _)| short_name(name) == type_name)
                .unwrap_or_else(|| panic!("{type_name}"));
            let place = if field.is_empty() {
                schema
            } else {
                &schema["properties"][field]
            };
            let described = ["x-kubernetes-map-type", "x-kubernetes-list-type"];
            assert!(
                described.iter().any(|key| place.get(key).is_some()),
                "{type_name}.{field}"
            );
        }
    }

    #[test]
    fn references_stand_where_openapi_reads_them() {
        let config_map = get("io.k8s.api.core.v1.ConfigMap").unwrap();
        let metadata = &config_map["properties"]["metadata"];
        assert_eq!(reference(metadata), Some(OBJECT_META));
        assert!(metadata["description"].is_string() && metadata.get("$ref").is_none());
        assert!(config_map.get("required").is_none());
        let event = get("io.k8s.api.core.v1.Event").unwrap();
        assert_eq!(event["required"], json!(["involvedObject", "metadata"]));
    }

    #[test]
    fn a_type_within_itself_ends_the_inlining() {
        let crd = inlined(
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        )
        .unwrap();
        let schema = &crd["properties"]["spec"]["properties"]["versions"]["items"]["properties"]["schema"]
            ["properties"]["openAPIV3Schema"];
        assert_eq!(schema["properties"]["type"]["type"], "string");
        let inner = &schema["properties"]["not"];
        assert_eq!(inner["x-kubernetes-preserve-unknown-fields"], true);
        assert!(inner.get("properties").is_none());
    }
}
