//! Tests of defaults and validation of CustomResourceDefinitions.

use serde_json::{Value, json};

use super::*;

fn boats() -> Value {
    let mut crd = json!({
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"crew": {"type": "integer"}, "hull": {"type": "object"}}}}}}}],
        },
    });
    prepare_create(&mut crd);
    crd
}

fn texts(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Returns the errors of a valid definition after one change.
fn errors_with(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut crd = boats();
    change(&mut crd);
    texts(validate_create(&crd))
}

#[test]
fn a_definition_gets_default_names_conversion_and_stored_version() {
    let crd = boats();
    assert_eq!(texts(validate_create(&crd)), Vec::<String>::new());
    assert_eq!(crd["spec"]["names"]["singular"], "boat");
    assert_eq!(crd["spec"]["names"]["listKind"], "BoatList");
    assert_eq!(crd["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
}

#[test]
fn names_group_and_scope_are_validated() {
    for (pointer, value, expected) in [
        (
            "/metadata/name",
            json!("x.example.com"),
            "metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group",
        ),
        ("/spec/scope", json!(""), "spec.scope: Required value"),
        (
            "/spec/scope",
            json!("World"),
            "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (
            "/spec/names/listKind",
            json!("Boat"),
            "spec.names.listKind: Invalid value: \"Boat\": kind and listKind may not be the same",
        ),
        (
            "/spec/conversion/strategy",
            json!("Webhook"),
            "spec.conversion.strategy: Invalid value: \"Webhook\": conversion webhooks are not supported: use None",
        ),
        (
            "/spec/versions/0/storage",
            json!(false),
            "spec.versions: Invalid value",
        ),
    ] {
        let errors = errors_with(|crd| *crd.pointer_mut(pointer).unwrap() = value);
        assert!(
            errors.iter().any(|e| e.starts_with(expected)),
            "{expected:?} is not in {errors:?}"
        );
    }
    let errors = errors_with(|crd| crd["spec"]["names"]["kind"] = "My Boat".into());
    assert!(errors[0].starts_with("spec.names.kind: Invalid value: \"My Boat\": may have mixed case, but should otherwise match: a DNS-1035"), "{errors:?}");
    let errors = errors_with(|crd| crd["spec"]["group"] = "dotless".into());
    assert!(errors.contains(
        &"spec.group: Invalid value: \"dotless\": should be a domain with at least one dot".into()
    ));
    let errors = errors_with(|crd| crd["spec"]["names"]["shortNames"] = json!(["ok", "B"]));
    assert!(
        errors[0].starts_with("spec.names.shortNames[1]: Invalid value: \"B\": a DNS-1035 label"),
        "{errors:?}"
    );
}

#[test]
fn groups_of_the_kubernetes_project_need_approval() {
    let with = |annotation: Value| {
        errors_with(|crd| {
            crd["spec"]["group"] = "boats.k8s.io".into();
            crd["metadata"] = json!({"name": "boats.boats.k8s.io", "annotations": {"api-approved.kubernetes.io": annotation}});
        })
    };
    assert_eq!(with(json!("https://example.com/1")), Vec::<String>::new());
    assert_eq!(with(json!("unapproved, a trial")), Vec::<String>::new());
    assert!(
        with(json!(null))[0]
            .contains("Required value: protected groups must have approval annotation")
    );
    assert!(with(json!("yes"))[0].contains("Invalid value: \"yes\": protected groups"));
    let similar = errors_with(|crd| {
        crd["spec"]["group"] = "myk8s.io".into();
        crd["metadata"]["name"] = "boats.myk8s.io".into();
    });
    assert_eq!(similar, Vec::<String>::new());
}

#[test]
fn errors_of_identical_versions_are_reported_once() {
    let broken = json!({"openAPIV3Schema": {"type": "string"}});
    let one = errors_with(|crd| crd["spec"]["versions"][0]["schema"] = broken.clone());
    assert_eq!(
        one,
        [
            "spec.validation.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root"
        ]
    );
    let separate = errors_with(|crd| {
        crd["spec"]["versions"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "v2", "served": true, "storage": false, "schema": broken}));
    });
    assert_eq!(
        separate,
        [
            "spec.versions[1].schema.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root"
        ]
    );
    let none = errors_with(|crd| {
        crd["spec"]["versions"][0]
            .as_object_mut()
            .unwrap()
            .remove("schema");
    });
    assert_eq!(
        none,
        ["spec.versions[0].schema.openAPIV3Schema: Required value"]
    );
}

#[test]
fn exactly_one_version_must_be_the_storage_version() {
    let second = |storage: bool, name: &str| {
        let name = name.to_owned();
        errors_with(move |crd| {
            let mut version = crd["spec"]["versions"][0].clone();
            version["storage"] = storage.into();
            version["name"] = name.into();
            crd["spec"]["versions"]
                .as_array_mut()
                .unwrap()
                .push(version);
        })
    };
    assert_eq!(second(false, "v2"), Vec::<String>::new());
    for (errors, expected) in [
        (
            second(true, "v2"),
            "must have exactly one version marked as storage version",
        ),
        (second(false, "v1"), "must contain unique version names"),
    ] {
        assert!(errors[0].starts_with("spec.versions: "), "{errors:?}");
        assert!(errors[0].ends_with(expected), "{errors:?}");
    }
}

#[test]
fn a_stored_version_cannot_be_removed() {
    let old = boats();
    let mut crd = old.clone();
    crd["spec"]["versions"][0]["name"] = "v2".into();
    prepare_update(&mut crd, &old);
    assert_eq!(crd["status"]["storedVersions"], json!(["v1", "v2"]));
    let errors = texts(validate_update(&crd, &old));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with(
        "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was"
    ));
    crd["status"]["storedVersions"] = json!(["v1"]);
    assert!(
        texts(validate_update(&crd, &old))
            .iter()
            .any(|e| e.ends_with("must have the storage version v2"))
    );
    crd["spec"]["versions"] = json!([{"name": "v1"}, {"name": "v2", "storage": true}]);
    assert!(texts(validate_status(&crd, &old)).is_empty());
}

#[test]
fn names_of_an_established_definition_are_immutable() {
    let mut old = boats();
    let mut crd = old.clone();
    crd["spec"]["scope"] = "Cluster".into();
    assert_eq!(texts(validate_update(&crd, &old)), Vec::<String>::new());
    old["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    assert_eq!(
        texts(validate_update(&crd, &old)),
        ["spec.scope: Invalid value: \"Cluster\": field is immutable"]
    );
}

#[test]
fn printer_columns_and_scale_paths_are_validated() {
    let version = |field: &str, value: Value| {
        let field = field.to_owned();
        errors_with(move |crd| crd["spec"]["versions"][0][field] = value)
    };
    assert_eq!(
        version(
            "additionalPrinterColumns",
            json!([{"name": "", "type": "text", "jsonPath": "spec.crew", "format": "odd"}])
        ),
        [
            "spec.additionalPrinterColumns[0].name: Required value",
            "spec.additionalPrinterColumns[0].type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
            "spec.additionalPrinterColumns[0].format: Invalid value: \"odd\": must be one of byte,date,date-time,double,float,int32,int64,password",
            "spec.additionalPrinterColumns[0].jsonPath: Invalid value: \"spec.crew\": must be a simple json path starting with ."
        ]
    );
    let errors = version(
        "additionalPrinterColumns",
        json!([{"name": "A", "type": "string", "jsonPath": ".spec["}]),
    );
    assert!(
        errors[0]
            .starts_with("spec.additionalPrinterColumns[0].jsonPath: Invalid value: \".spec[\""),
        "{errors:?}"
    );
    assert_eq!(
        version(
            "subresources",
            json!({"scale": {"specReplicasPath": ".status.n", "labelSelectorPath": ".metadata.x"}})
        ),
        [
            "spec.subresources.scale.specReplicasPath: Invalid value: \".status.n\": should be a json path under .spec",
            "spec.subresources.scale.statusReplicasPath: Required value",
            "spec.subresources.scale.labelSelectorPath: Invalid value: \".metadata.x\": should be a json path under either .spec or .status"
        ]
    );
}

#[test]
fn selectable_fields_must_be_scalars_of_the_schema() {
    let with = |paths: &[&str]| {
        let fields: Value = paths.iter().map(|path| json!({"jsonPath": path})).collect();
        errors_with(move |crd| crd["spec"]["versions"][0]["selectableFields"] = fields)
    };
    assert_eq!(with(&[".spec.crew"]), Vec::<String>::new());
    for (path, detail) in [
        (".spec.mast", "does not refer to a valid field"),
        (".spec.hull", "must point to a field of type"),
        (".metadata.name", "must not point to fields in metadata"),
        ("spec.crew", "must start with a dot"),
    ] {
        let errors = with(&[path]);
        assert!(
            errors.len() == 1 && errors[0].contains(detail),
            "{errors:?}"
        );
    }
    assert!(with(&[".spec.crew", ".spec.crew"])[0].contains("Duplicate value"));
    assert!(with(&[".spec.crew"; 9])[0].contains("Too many"));
}
