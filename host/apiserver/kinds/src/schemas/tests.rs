//! Tests of the generated schemas.

use super::topology::TOPOLOGIES;
use super::*;

fn has_reference(schema: &Value) -> bool {
    let mut found = Vec::new();
    collect_references(schema, &mut found);
    !found.is_empty()
}

#[test]
fn every_top_level_type_has_a_schema_with_its_kind_and_a_description() {
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
fn every_topology_belongs_to_an_existing_field() {
    for (type_name, field, _) in TOPOLOGIES {
        let (_, schema) = SCHEMAS
            .iter()
            .find(|(name, _)| short_name(name) == type_name)
            .unwrap_or_else(|| panic!("{type_name}"));
        let target = if field.is_empty() {
            schema
        } else {
            &schema["properties"][field]
        };
        let keys = ["x-kubernetes-map-type", "x-kubernetes-list-type"];
        assert!(
            keys.iter().any(|key| target.get(key).is_some()),
            "{type_name}.{field}"
        );
    }
}

#[test]
fn references_with_siblings_are_wrapped_in_all_of() {
    let config_map = get("io.k8s.api.core.v1.ConfigMap").unwrap();
    let metadata = &config_map["properties"]["metadata"];
    assert_eq!(reference(metadata), Some(OBJECT_META));
    assert!(metadata["description"].is_string() && metadata.get("$ref").is_none());
    assert!(config_map.get("required").is_none());
    let event = get("io.k8s.api.core.v1.Event").unwrap();
    assert_eq!(event["required"], json!(["involvedObject", "metadata"]));
}

#[test]
fn a_type_within_itself_is_not_inlined() {
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
