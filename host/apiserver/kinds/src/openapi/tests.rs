//! Tests of the OpenAPI documents.

use std::collections::HashSet;

use super::*;

fn boat() -> (ResourceKind, Value) {
    let crd = json!({"spec": {
        "group": "sea.example.com", "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}, "scale": {}}}]}});
    let schema = json!({"type": "object", "description": "A boat.", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "berth": {"x-kubernetes-int-or-string": true},
            "cargo": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "default": {"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": true}},
            "sails": {"type": "array", "default": [{"x-kubernetes-int-or-string": true}], "items": {"type": "object"}}}}}});
    (ResourceKind::from_crd(&crd).remove(0), schema)
}

fn boats() -> Value {
    let (kind, schema) = boat();
    document(
        "sea.example.com",
        "v1",
        &[&kind],
        &[CustomResourceSchema {
            kind: &kind,
            schema: &schema,
        }],
    )
    .unwrap()
}

fn query(operation: &Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .filter(|p| p["in"] == "query")
        .map(|p| p["name"].as_str().unwrap())
        .collect()
}

/// Collects every `$ref` of a document.
fn references<'d>(value: &'d Value, found: &mut HashSet<&'d str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn every_reference_is_resolved_within_its_document() {
    let (boat, schema) = boat();
    let mut kinds: Vec<&ResourceKind> = builtin::kinds().iter().map(|b| &b.kind).collect();
    kinds.push(&boat);
    let all = document_group_versions(&kinds);
    assert_eq!(all.first(), Some(&("", "v1")));
    assert_eq!(all.len(), 7, "{all:?}");
    let mut operations = HashSet::new();
    for (group, version) in all {
        let doc = document(
            group,
            version,
            &kinds,
            &[CustomResourceSchema {
                kind: &boat,
                schema: &schema,
            }],
        )
        .unwrap();
        let mut found = HashSet::new();
        references(&doc, &mut found);
        assert!(found.len() > 5, "{group}");
        for reference in found {
            assert!(
                doc.pointer(reference.strip_prefix('#').unwrap()).is_some(),
                "{group}: {reference}"
            );
        }
        let paths = doc["paths"].as_object().unwrap();
        for operation in paths
            .values()
            .flat_map(|item| item.as_object().unwrap().values())
        {
            if let Some(id) = operation["operationId"].as_str() {
                assert!(operations.insert(id.to_owned()), "{id} is not unique");
            }
        }
    }
    assert!(operations.contains("replaceCoreV1NamespacedConfigMap"));
    assert!(operations.contains("patchComExampleSeaV1NamespacedBoatStatus"));
    assert!(operations.contains("listCoordinationV1LeaseForAllNamespaces"));
}

#[test]
fn a_custom_resource_has_paths_with_parameters_and_media_types() {
    let doc = boats();
    let paths = doc["paths"].as_object().unwrap();
    let root = "/apis/sea.example.com/v1";
    let item = format!("{root}/namespaces/{{namespace}}/boats/{{name}}");
    let names: Vec<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            &format!("{root}/boats"),
            &format!("{root}/namespaces/{{namespace}}/boats"),
            &item,
            &format!("{item}/scale"),
            &format!("{item}/status"),
        ]
    );
    let patch = &paths[&item]["patch"];
    assert_eq!(
        query(patch),
        ["dryRun", "fieldManager", "fieldValidation", "force"]
    );
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "sea.example.com", "version": "v1", "kind": "Boat"})
    );
    let media: Vec<&String> = patch["requestBody"]["content"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(
        media,
        [
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json"
        ]
    );
    let shared: Vec<&str> = paths[&item]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(shared, ["name", "namespace", "pretty"]);
    let all_namespaces = &paths[&format!("{root}/boats")];
    assert_eq!(query(&all_namespaces["get"]), Vec::<&str>::new());
    assert_eq!(query(all_namespaces).len(), 11);
    assert_eq!(
        paths[&format!("{item}/scale")]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            ["$ref"],
        "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"
    );
}

#[test]
fn the_schema_of_a_custom_resource_is_completed() {
    let doc = boats();
    let schemas = &doc["components"]["schemas"];
    let boat = &schemas["com.example.sea.v1.Boat"];
    assert_eq!(boat["description"], "A boat.");
    let object_meta =
        json!([{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]);
    assert_eq!(boat["properties"]["metadata"]["allOf"], object_meta);
    assert_eq!(boat["properties"]["kind"]["type"], "string");
    assert_eq!(
        boat["x-kubernetes-group-version-kind"],
        json!([{"group": "sea.example.com", "version": "v1", "kind": "Boat"}])
    );
    let spec = &boat["properties"]["spec"]["properties"];
    assert_eq!(
        spec["berth"]["anyOf"],
        json!([{"type": "integer"}, {"type": "string"}])
    );
    assert!(spec["default"]["additionalProperties"]["anyOf"].is_array());
    assert_eq!(
        spec["cargo"]["properties"]["metadata"]["allOf"],
        object_meta
    );
    assert_eq!(
        spec["sails"]["default"],
        json!([{"x-kubernetes-int-or-string": true}])
    );
    let list = &schemas["com.example.sea.v1.BoatList"];
    assert_eq!(list["required"], json!(["items"]));
    assert_eq!(
        list["x-kubernetes-group-version-kind"][0]["kind"],
        "BoatList"
    );
}

#[test]
fn a_version_without_a_schema_allows_all_fields() {
    let (kind, _) = boat();
    let doc = document("sea.example.com", "v1", &[&kind], &[]).unwrap();
    let schema = &doc["components"]["schemas"]["com.example.sea.v1.Boat"];
    assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true);
}

#[test]
fn built_in_kinds_accept_strategic_merge_patches_and_have_descriptions() {
    let kinds: Vec<&ResourceKind> = builtin::kinds().iter().map(|b| &b.kind).collect();
    let doc = document("", "v1", &kinds, &[]).unwrap();
    let item = &doc["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"];
    assert!(
        item["patch"]["requestBody"]["content"]["application/strategic-merge-patch+json"]
            .is_object()
    );
    assert!(doc["paths"]["/api/v1/namespaces/{name}/finalize"]["put"].is_object());
    assert!(doc["paths"]["/api/v1/namespaces"]["delete"].is_null());
    let services = &doc["paths"]["/api/v1/namespaces/{namespace}/services"];
    assert!(services["get"].is_object() && services["post"].is_null());
    let data = &doc["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"]["properties"]["data"];
    assert!(
        data["description"]
            .as_str()
            .unwrap()
            .starts_with("Data contains")
    );
    assert!(document("", "v2", &kinds, &[]).is_none());
}

#[test]
fn the_index_contains_paths_and_hashes() {
    let hashes = BTreeMap::from([
        (document_path("", "v1"), "AB".to_owned()),
        (document_path("g.io", "v1"), "CD".to_owned()),
    ]);
    assert_eq!(
        index(&hashes),
        json!({"paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=AB"},
            "apis/g.io/v1": {"serverRelativeURL": "/openapi/v3/apis/g.io/v1?hash=CD"}}})
    );
}
