//! Malformed managedFields, schemas, and objects never cause a panic or an incomplete object.

use proptest::prelude::*;
use rdd_apiserver_fieldmanager::{
    FieldSet, ObjectType, TrackingRequest, apply, json_patch, keep_timestamps_if_unchanged,
    managers, merge_patch, strip_managed_fields, update,
};
use serde_json::{Map, Value, json};

use crate::tracked_object::{V1, schema};

/// Generates any JSON. Its keys and strings include those of managedFields and of the schema.
fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("f:spec"),
        Just("f:set"),
        Just("f:list"),
        Just("f:a"),
        Just("k:{\"name\":\"x\"}"),
        Just("k:{}"),
        Just("k:["),
        Just("v:\"a\""),
        Just("v:{\"a\":[1]}"),
        Just("v:"),
        Just("i:0"),
        Just("i:x"),
        Just("."),
        Just("x:1"),
        Just("é:"),
        Just(""),
        Just("manager"),
        Just("operation"),
        Just("apiVersion"),
        Just("fieldsType"),
        Just("FieldsV1"),
        Just("fieldsV1"),
        Just("time"),
        Just("Apply"),
        Just("Update"),
        Just("example.com/v1"),
        Just("2026-01-01T00:00:00Z"),
        Just("-009999-01-01T00:00:00Z"),
        Just("spec"),
        Just("status"),
        Just("set"),
        Just("list"),
        Just("two"),
        Just("map"),
        Just("obj"),
        Just("open"),
        Just("name"),
        Just("metadata"),
        Just("managedFields"),
        Just("labels"),
        Just("finalizers"),
        Just("ownerReferences"),
        Just("uid"),
    ]
    .prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Generates managedFields whose entries are valid except for their fields.
fn managed_fields() -> impl Strategy<Value = Value> {
    let entry = (prop_oneof![Just("one"), Just("two")], prop_oneof![Just("Apply"), Just("Update")], json()).prop_map(
        |(manager, operation, fields)| {
            json!({"manager": manager, "operation": operation, "apiVersion": V1, "fieldsType": "FieldsV1", "fieldsV1": fields})
        },
    );
    prop_oneof![
        json(),
        prop::collection::vec(entry, 0..4).prop_map(Value::from)
    ]
}

fn object() -> impl Strategy<Value = Value> {
    (json(), json(), json(), managed_fields()).prop_map(|(spec, status, labels, managed)| {
        json!({"apiVersion": V1, "kind": "Widget", "spec": spec, "status": status,
               "metadata": {"name": "a", "uid": "u", "labels": labels, "managedFields": managed}})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn malformed_input_never_panics(live in object(), new in object(), arbitrary in json(), arbitrary_schema in json(), force: bool) {
        for types in [ObjectType::from_openapi(&schema()), ObjectType::from_openapi(&arbitrary_schema), ObjectType::deduced()] {
            let request = TrackingRequest {
                manager: "one", api_version: V1, subresource: None, now: "2026-01-01T00:00:00Z",
                object_type: &types, versions: &[], zero: None, reset_fields: &[],
            };
            let mut applied = new.clone();
            strip_managed_fields(&mut applied);
            for live in [None, Some(&live), Some(&arbitrary)] {
                for applied in [&applied, &arbitrary] {
                    if let Ok(out) = apply(live, applied, force, &request) {
                        prop_assert!(out.is_object());
                        let again = apply(Some(&out), applied, force, &request);
                        if managers(&out).is_empty() {
                            // Nothing was applied, and the existing managedFields could not be
                            // read, so the next apply is a first apply.
                            let again = again.unwrap();
                            let third = apply(Some(&again), applied, force, &request);
                            prop_assert_eq!(third.as_ref(), Ok(&again));
                        } else {
                            prop_assert_eq!(again.as_ref(), Ok(&out), "applying the same again changes nothing");
                        }
                    }
                }
                for new in [&new, &arbitrary] {
                    if let Ok(mut out) = update(live, new.clone(), &request) {
                        let _names = managers(&out);
                        keep_timestamps_if_unchanged(live.unwrap_or(&Value::Null), &mut out);
                    }
                }
            }
        }
        for document in [&live, &arbitrary] {
            for patch in [&new, &arbitrary] {
                let _any = (merge_patch(document, patch), json_patch(document, patch));
            }
        }
    }

    #[test]
    fn a_parsed_set_survives_a_round_trip(fields in json()) {
        if let Ok(set) = FieldSet::from_fields_v1(&fields) {
            let formatted = set.to_fields_v1();
            prop_assert_eq!(FieldSet::from_fields_v1(&formatted), Ok(set), "{}", formatted);
        }
    }
}
