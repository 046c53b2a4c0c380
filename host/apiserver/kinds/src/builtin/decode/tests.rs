//! Tests of typed decoding.

use serde_json::json;

use super::*;

const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";
const SECRET: &str = "io.k8s.api.core.v1.Secret";
const LEASE: &str = "io.k8s.api.coordination.v1.Lease";
const EVENT: &str = "io.k8s.api.core.v1.Event";
const CRD: &str =
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

fn decoded(name: &str, mut object: Value) -> (Value, Vec<String>) {
    let unknown = decode(name, &mut object).unwrap();
    (object, unknown)
}

fn message(name: &str, mut object: Value) -> String {
    decode(name, &mut object).unwrap_err().to_string()
}

#[test]
fn unknown_fields_are_removed_and_returned() {
    let (object, unknown) = decoded(
        CRD,
        json!({"metadata": {"name": "a", "odd": 1}, "top": 1, "spec": {"group": "g", "names": {"plural": "x", "kind": "X"},
            "scope": "Cluster", "versions": [{"name": "v1", "served": true, "storage": true, "extra": {},
                "schema": {"openAPIV3Schema": {"type": "object", "wrong": 1, "properties": {"a": {"type": "string", "bad": 2}}}}}]}}),
    );
    assert_eq!(
        unknown,
        [
            "metadata.odd",
            "spec.versions[0].extra",
            "spec.versions[0].schema.openAPIV3Schema.properties.a.bad",
            "spec.versions[0].schema.openAPIV3Schema.wrong",
            "top"
        ]
    );
    assert_eq!(
        object["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        json!({"type": "object", "properties": {"a": {"type": "string"}}})
    );
}

#[test]
fn empty_optional_fields_are_omitted_and_pointers_are_kept() {
    let (object, _) = decoded(
        CONFIG_MAP,
        json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {}, "annotations": null, "generation": 0},
            "data": {}, "binaryData": null, "immutable": false}),
    );
    assert_eq!(
        object,
        json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": false})
    );
    let (object, _) = decoded(
        LEASE,
        json!({"metadata": {}, "spec": {"holderIdentity": "", "leaseTransitions": 0}}),
    );
    assert_eq!(
        object["spec"],
        json!({"holderIdentity": "", "leaseTransitions": 0})
    );
}

#[test]
fn fields_that_are_always_written_are_added() {
    let (object, _) = decoded(EVENT, json!({"metadata": {"name": "a"}, "reason": ""}));
    assert_eq!(
        object,
        json!({"metadata": {"name": "a"}, "involvedObject": {}, "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "eventTime": null, "reportingComponent": "", "reportingInstance": ""})
    );
    let (object, _) = decoded("io.k8s.api.core.v1.Namespace", json!({}));
    assert_eq!(object, json!({"metadata": {}, "spec": {}, "status": {}}));
}

#[test]
fn times_and_base64_are_converted_to_canonical_form() {
    let (object, _) = decoded(
        EVENT,
        json!({"metadata": {}, "firstTimestamp": "2024-01-02T03:04:05.9+02:00", "eventTime": "2024-01-02T04:04:05.250000+01:00"}),
    );
    assert_eq!(object["firstTimestamp"], "2024-01-02T01:04:05Z");
    assert_eq!(object["eventTime"], "2024-01-02T03:04:05.250000Z");
    let (object, _) = decoded(SECRET, json!({"data": {"a": "AA\nEC", "b": null}}));
    assert_eq!(object["data"], json!({"a": "AAEC", "b": ""}));
}

#[test]
fn raw_json_is_unchanged() {
    let (object, unknown) = decoded(
        CRD,
        json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {
            "a": {"default": {"x": null, "y": ""}, "enum": ["", null, 0], "items": {"type": "string"}},
            "b": {"default": null, "additionalProperties": false, "nullable": false, "not": {}},
        }}}}]}}),
    );
    assert_eq!(unknown, Vec::<String>::new());
    assert_eq!(
        object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"],
        json!({
            "a": {"default": {"x": null, "y": ""}, "enum": ["", null, 0], "items": {"type": "string"}},
            "b": {"additionalProperties": false, "not": {}},
        })
    );
}

#[test]
fn errors_name_the_field_and_both_types() {
    assert_eq!(
        message(CONFIG_MAP, json!({"data": {"k": 1}})),
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    );
    assert_eq!(
        message(CONFIG_MAP, json!({"metadata": {"labels": ["a"]}})),
        "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string"
    );
    assert_eq!(
        message(
            LEASE,
            json!({"spec": {"leaseTransitions": 3_000_000_000_u32}})
        ),
        "json: cannot unmarshal number 3000000000 into Go struct field LeaseSpec.spec.leaseTransitions of type int32"
    );
    assert_eq!(
        message(LEASE, json!({"spec": "x"})),
        "json: cannot unmarshal string into Go struct field Lease.spec of type v1.LeaseSpec"
    );
    assert_eq!(
        message(SECRET, json!({"data": {"k": "?"}})),
        "illegal base64 data at input byte 0"
    );
    assert_eq!(
        message(SECRET, json!({"data": {"k": "AA"}})),
        "illegal base64 data at input byte 0"
    );
    assert!(
        message(LEASE, json!({"spec": {"renewTime": "now"}})).starts_with("parsing time \"now\"")
    );
    assert_eq!(
        message(SECRET, json!([])),
        "json: cannot unmarshal array into Go value of type v1.Secret"
    );
}
