//! Tests of the conversion and validation of Events.

use serde_json::json;

use super::*;

fn texts(errors: Vec<FieldError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn an_event_is_converted_between_both_groups() {
    let core = json!({"kind": "Event", "apiVersion": "v1", "metadata": {"name": "a"}, "involvedObject": {"kind": "Pod"},
        "message": "m", "source": {"component": "c"}, "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": null,
        "count": 3, "eventTime": null, "reportingComponent": "", "reportingInstance": "i"});
    let event = from_core(core.clone());
    assert_eq!(
        event,
        json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "a"}, "regarding": {"kind": "Pod"},
            "note": "m", "deprecatedSource": {"component": "c"}, "deprecatedFirstTimestamp": "2024-01-01T00:00:00Z",
            "deprecatedLastTimestamp": null, "deprecatedCount": 3, "eventTime": null, "reportingInstance": "i"})
    );
    assert_eq!(to_core(event), core);
}

#[test]
fn an_event_must_be_in_the_namespace_of_its_object() {
    let event = |namespace: &str, about: &str| json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": about}});
    assert_eq!(
        texts(validate_core_v1(&event("a", "a"))),
        Vec::<String>::new()
    );
    assert_eq!(
        texts(validate_core_v1(&event("default", ""))),
        Vec::<String>::new()
    );
    for (namespace, about) in [("a", "b"), ("a", ""), ("kube-system", "")] {
        assert_eq!(
            texts(validate_core_v1(&event(namespace, about))),
            [format!(
                "involvedObject.namespace: Invalid value: \"{about}\": does not match event.namespace"
            )]
        );
    }
}

#[test]
fn an_event_with_a_time_must_name_its_reporter() {
    let event = json!({"metadata": {"namespace": "kube-system"}, "eventTime": "2024-01-01T00:00:00.000000Z",
        "reason": "x".repeat(129), "message": "x".repeat(1025), "action": "a"});
    let errors = texts(validate_core_v1(&event));
    for expected in [
        "reportingComponent: Required value",
        "reportingComponent: Invalid value: \"\": name part must be non-empty",
        "reportingInstance: Required value",
        "reason: Invalid value: \"\": can have at most 128 characters",
        "message: Invalid value: \"\": can have at most 1024 characters",
    ] {
        assert!(
            errors.iter().any(|e| e == expected),
            "{expected}: {errors:?}"
        );
    }
    assert!(
        !errors
            .iter()
            .any(|e| e.starts_with("action") || e.starts_with("involvedObject")),
        "{errors:?}"
    );
}

fn events_v1_event() -> Value {
    json!({"metadata": {"namespace": "a"}, "regarding": {"namespace": "a"}, "type": "Normal", "reason": "r", "action": "a",
        "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "i"})
}

#[test]
fn events_v1_rejects_deprecated_fields() {
    assert_eq!(
        texts(validate_events_v1(&events_v1_event())),
        Vec::<String>::new()
    );
    let mut event = events_v1_event();
    event["deprecatedCount"] = 1.into();
    event["deprecatedSource"] = json!({"host": "h"});
    event["type"] = "Odd".into();
    event["series"] = json!({"count": 1});
    assert_eq!(
        texts(validate_events_v1(&event)),
        [
            "series.count: Invalid value: \"\": should be at least 2",
            "series.lastObservedTime: Required value",
            "type: Invalid value: \"\": has invalid value: Odd",
            "count: Invalid value: \"\": needs to be unset",
            "source: Invalid value: \"\": needs to be unset"
        ]
    );
}

#[test]
fn only_the_series_of_an_events_v1_event_can_change() {
    let old = events_v1_event();
    let mut event = old.clone();
    event["series"] = json!({"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000000Z"});
    assert_eq!(
        texts(validate_events_v1_update(&event, &old)),
        Vec::<String>::new()
    );
    event["reportingController"] = "d".into();
    assert_eq!(
        texts(validate_events_v1_update(&event, &old)),
        ["reportingController: Invalid value: \"d\": field is immutable"]
    );
}

#[test]
fn the_source_label_falls_back_to_the_reporting_component() {
    let event = json!({"source": {}, "reportingComponent": "c"});
    assert_eq!(core_v1_field("source", &event).as_deref(), Some("c"));
    assert_eq!(
        core_v1_field("source", &json!({"source": {"component": "s"}})).as_deref(),
        Some("s")
    );
    assert_eq!(core_v1_field("message", &event), None);
}
