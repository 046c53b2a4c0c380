//! Events: one stored form, shown by two groups.

use rdd_apiserver_schema::FieldError;
use serde_json::{Map, Value};

use super::field_errors::{IMMUTABLE, invalid, invalid_for_each, required};
use super::string_or_empty;
use rdd_apiserver_schema::names;

/// Names of the same field in core/v1 and in events.k8s.io/v1.
const RENAMED_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];
/// Texts that core/v1 always writes and events.k8s.io/v1 leaves out when they
/// are empty.
const REPORTING_FIELDS: [&str; 2] = ["reportingComponent", "reportingInstance"];

/// Longest reporting instance, action and reason.
const MAX_TEXT_BYTES: usize = 128;
/// Longest message.
const MAX_NOTE_BYTES: usize = 1024;
/// Fewest events that make a series.
const MIN_SERIES_COUNT: i64 = 2;
/// Namespaces in which an event may be about something without a namespace.
const CLUSTER_NAMESPACES: [&str; 2] = ["default", "kube-system"];

fn rename_fields(
    object: Value,
    api_version: &str,
    pairs: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let Value::Object(fields) = object else {
        return object;
    };
    let mut renamed: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| match pairs(&name) {
            Some(other) => (other.into(), value),
            None => (name, value),
        })
        .collect();
    renamed.insert("apiVersion".into(), api_version.into());
    Value::Object(renamed)
}

/// An Event of events.k8s.io/v1 as one of core/v1.
pub(super) fn to_core(object: Value) -> Value {
    let mut core = rename_fields(object, "v1", |name| {
        RENAMED_FIELDS
            .iter()
            .find(|(_, new)| *new == name)
            .map(|(core, _)| *core)
    });
    if let Some(core) = core.as_object_mut() {
        for field in REPORTING_FIELDS {
            core.entry(field).or_insert_with(|| "".into());
        }
    }
    core
}

/// An Event of core/v1 as one of events.k8s.io/v1.
pub(super) fn from_core(object: Value) -> Value {
    let mut event = rename_fields(object, "events.k8s.io/v1", |name| {
        RENAMED_FIELDS
            .iter()
            .find(|(core, _)| *core == name)
            .map(|(_, new)| *new)
    });
    if let Some(event) = event.as_object_mut() {
        for field in ["reportingController", "reportingInstance"] {
            if event.get(field).is_some_and(|value| value == "") {
                event.remove(field);
            }
        }
    }
    event
}

fn is_set(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// The rules that both groups keep; `controller` is what they call the
/// reporting controller.
fn validate_common(event: &Value, controller: &str) -> Vec<FieldError> {
    const PLACE: &str = "involvedObject.namespace";
    const MISMATCH: &str = "does not match event.namespace";
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let about = event["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let mut errors = Vec::new();
    if !is_set(&event["eventTime"]) {
        let agrees = match about {
            "" => matches!(namespace, "" | "default"),
            about => about == namespace,
        };
        if !agrees {
            errors.push(invalid(PLACE, about, MISMATCH));
        }
        errors.extend(invalid_for_each(
            "namespace",
            namespace,
            names::dns_subdomain(namespace),
        ));
        return errors;
    }
    if about.is_empty() && !CLUSTER_NAMESPACES.contains(&namespace) {
        errors.push(invalid(PLACE, about, MISMATCH));
    }
    let reporting = event["reportingComponent"].as_str().unwrap_or_default();
    if reporting.is_empty() {
        errors.push(required(controller, ""));
    }
    errors.extend(invalid_for_each(
        controller,
        reporting,
        names::qualified_name(reporting),
    ));
    for field in ["reportingInstance", "action", "reason"] {
        let value = event[field].as_str().unwrap_or_default();
        if value.is_empty() {
            errors.push(required(field, ""));
        }
        errors.extend(validate_length(field, value, MAX_TEXT_BYTES));
    }
    errors.extend(validate_length(
        "message",
        event["message"].as_str().unwrap_or_default(),
        MAX_NOTE_BYTES,
    ));
    errors.extend(invalid_for_each(
        "namespace",
        namespace,
        names::dns_subdomain(namespace),
    ));
    errors
}

fn validate_length(field: &str, value: &str, most: usize) -> Option<FieldError> {
    (value.len() > most).then(|| invalid(field, "", &format!("can have at most {most} characters")))
}

pub(super) fn validate_core_v1(event: &Value) -> Vec<FieldError> {
    validate_common(event, "reportingComponent")
}

pub(super) fn validate_core_v1_update(event: &Value, _old: &Value) -> Vec<FieldError> {
    validate_core_v1(event)
}

/// What events.k8s.io/v1 asks for beyond the common rules.
pub(super) fn validate_events_v1(event: &Value) -> Vec<FieldError> {
    let event = to_core(event.clone());
    let mut errors = validate_common(&event, "reportingController");
    errors.extend(validate_series(&event));
    if !is_set(&event["eventTime"]) {
        errors.push(required("eventTime", ""));
    }
    let kind = string_or_empty(&event["type"]);
    if !matches!(kind.as_str(), "Normal" | "Warning") {
        errors.push(invalid("type", "", &format!("has invalid value: {kind}")));
    }
    let source = &event["source"];
    for (field, is_set) in [
        ("firstTimestamp", is_set(&event["firstTimestamp"])),
        ("lastTimestamp", is_set(&event["lastTimestamp"])),
        ("count", event["count"].as_i64().unwrap_or_default() != 0),
        (
            "source",
            is_set(&source["component"]) || is_set(&source["host"]),
        ),
    ] {
        if is_set {
            errors.push(invalid(field, "", "needs to be unset"));
        }
    }
    errors
}

fn validate_series(event: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let series = &event["series"];
    if series.is_object() {
        if series["count"].as_i64().unwrap_or_default() < MIN_SERIES_COUNT {
            errors.push(invalid("series.count", "", "should be at least 2"));
        }
        if !is_set(&series["lastObservedTime"]) {
            errors.push(required("series.lastObservedTime", ""));
        }
    }
    errors
}

/// Of an Event of events.k8s.io/v1, only the series can change.
pub(super) fn validate_events_v1_update(event: &Value, old: &Value) -> Vec<FieldError> {
    const FIXED: [&str; 12] = [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingInstance",
    ];
    let (event, old) = (to_core(event.clone()), to_core(old.clone()));
    let mut errors = validate_common(&event, "reportingController");
    if event.get("series") != old.get("series") {
        errors.extend(validate_series(&event));
    }
    let fixed = FIXED.iter().map(|field| (*field, *field));
    for (field, shown) in fixed.chain([("reportingComponent", "reportingController")]) {
        if event.get(field) != old.get(field) {
            let value = event.get(field).cloned().unwrap_or(Value::Null);
            errors.push(invalid(shown, value, IMMUTABLE));
        }
    }
    errors
}

pub(super) fn core_v1_field(label: &str, event: &Value) -> Option<String> {
    let about = &event["involvedObject"];
    Some(match label {
        "involvedObject.kind" => string_or_empty(&about["kind"]),
        "involvedObject.namespace" => string_or_empty(&about["namespace"]),
        "involvedObject.name" => string_or_empty(&about["name"]),
        "involvedObject.uid" => string_or_empty(&about["uid"]),
        "involvedObject.apiVersion" => string_or_empty(&about["apiVersion"]),
        "involvedObject.resourceVersion" => string_or_empty(&about["resourceVersion"]),
        "involvedObject.fieldPath" => string_or_empty(&about["fieldPath"]),
        "reason" => string_or_empty(&event["reason"]),
        "reportingComponent" => string_or_empty(&event["reportingComponent"]),
        "source" => {
            let component = &event["source"]["component"];
            string_or_empty(if is_set(component) {
                component
            } else {
                &event["reportingComponent"]
            })
        }
        "type" => string_or_empty(&event["type"]),
        _ => return None,
    })
}

pub(super) fn events_v1_field(label: &str, event: &Value) -> Option<String> {
    let about = &event["regarding"];
    Some(match label {
        "regarding.kind" => string_or_empty(&about["kind"]),
        "regarding.namespace" => string_or_empty(&about["namespace"]),
        "regarding.name" => string_or_empty(&about["name"]),
        "regarding.uid" => string_or_empty(&about["uid"]),
        "regarding.apiVersion" => string_or_empty(&about["apiVersion"]),
        "regarding.resourceVersion" => string_or_empty(&about["resourceVersion"]),
        "regarding.fieldPath" => string_or_empty(&about["fieldPath"]),
        "reason" => string_or_empty(&event["reason"]),
        "reportingController" => string_or_empty(&event["reportingController"]),
        "type" => string_or_empty(&event["type"]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(errors: Vec<FieldError>) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_groups_show_the_same_event() {
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
    fn an_event_lives_where_its_object_lives() {
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
    fn an_event_with_a_time_says_who_reports_what() {
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

    fn new_event() -> Value {
        json!({"metadata": {"namespace": "a"}, "regarding": {"namespace": "a"}, "type": "Normal", "reason": "r", "action": "a",
            "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "i"})
    }

    #[test]
    fn the_newer_group_takes_no_deprecated_fields() {
        assert_eq!(
            texts(validate_events_v1(&new_event())),
            Vec::<String>::new()
        );
        let mut event = new_event();
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
    fn of_a_newer_event_only_the_series_changes() {
        let old = new_event();
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
    fn the_source_label_falls_back_to_the_reporter() {
        let event = json!({"source": {}, "reportingComponent": "c"});
        assert_eq!(core_v1_field("source", &event).as_deref(), Some("c"));
        assert_eq!(
            core_v1_field("source", &json!({"source": {"component": "s"}})).as_deref(),
            Some("s")
        );
        assert_eq!(core_v1_field("message", &event), None);
    }
}
