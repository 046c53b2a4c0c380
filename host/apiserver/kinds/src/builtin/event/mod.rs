//! The strategies of Events, which are stored once and served by two groups.

use rdd_apiserver_schema::FieldError;
use serde_json::{Map, Value};

use super::field_errors::{IMMUTABLE, invalid, invalid_for_each, required};
use super::string_or_empty;
use rdd_apiserver_schema::names;

/// Fields whose names differ between core/v1 and events.k8s.io/v1.
const RENAMED_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];
/// Strings that core/v1 always writes and events.k8s.io/v1 omits if they are
/// empty.
const REPORTING_FIELDS: [&str; 2] = ["reportingComponent", "reportingInstance"];

/// The maximum length of the reporting instance, action, and reason, in bytes.
const MAX_TEXT_BYTES: usize = 128;
/// The maximum length of the message, in bytes.
const MAX_NOTE_BYTES: usize = 1024;
/// The minimum number of events in a series.
const MIN_SERIES_COUNT: i64 = 2;
/// Namespaces in which an event may regard a cluster-scoped object.
const CLUSTER_NAMESPACES: [&str; 2] = ["default", "kube-system"];

fn rename_fields(
    object: Value,
    api_version: &str,
    new_name: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let Value::Object(fields) = object else {
        return object;
    };
    let mut renamed: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| match new_name(&name) {
            Some(other) => (other.into(), value),
            None => (name, value),
        })
        .collect();
    renamed.insert("apiVersion".into(), api_version.into());
    Value::Object(renamed)
}

/// Converts an Event of events.k8s.io/v1 to core/v1.
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

/// Converts an Event of core/v1 to events.k8s.io/v1.
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

/// Validates what both groups have in common. `controller` is the group's name of
/// the field with the reporting controller.
fn validate_common(event: &Value, controller: &str) -> Vec<FieldError> {
    const FIELD: &str = "involvedObject.namespace";
    const MISMATCH: &str = "does not match event.namespace";
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let object_namespace = event["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let mut errors = Vec::new();
    if !is_set(&event["eventTime"]) {
        let is_match = match object_namespace {
            "" => matches!(namespace, "" | "default"),
            object_namespace => object_namespace == namespace,
        };
        if !is_match {
            errors.push(invalid(FIELD, object_namespace, MISMATCH));
        }
        errors.extend(invalid_for_each(
            "namespace",
            namespace,
            names::validate_dns_subdomain(namespace),
        ));
        return errors;
    }
    if object_namespace.is_empty() && !CLUSTER_NAMESPACES.contains(&namespace) {
        errors.push(invalid(FIELD, object_namespace, MISMATCH));
    }
    let reporting = event["reportingComponent"].as_str().unwrap_or_default();
    if reporting.is_empty() {
        errors.push(required(controller, ""));
    }
    errors.extend(invalid_for_each(
        controller,
        reporting,
        names::validate_qualified_name(reporting),
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
        names::validate_dns_subdomain(namespace),
    ));
    errors
}

fn validate_length(field: &str, value: &str, max_bytes: usize) -> Option<FieldError> {
    (value.len() > max_bytes).then(|| {
        invalid(
            field,
            "",
            &format!("can have at most {max_bytes} characters"),
        )
    })
}

pub(super) fn validate_core_v1(event: &Value) -> Vec<FieldError> {
    validate_common(event, "reportingComponent")
}

pub(super) fn validate_core_v1_update(event: &Value, _old: &Value) -> Vec<FieldError> {
    validate_core_v1(event)
}

/// Validates what events.k8s.io/v1 requires in addition.
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
    for (field, is_field_set) in [
        ("firstTimestamp", is_set(&event["firstTimestamp"])),
        ("lastTimestamp", is_set(&event["lastTimestamp"])),
        ("count", event["count"].as_i64().unwrap_or_default() != 0),
        (
            "source",
            is_set(&source["component"]) || is_set(&source["host"]),
        ),
    ] {
        if is_field_set {
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

/// Validates an update of an Event of events.k8s.io/v1, of which only the series
/// can change.
pub(super) fn validate_events_v1_update(event: &Value, old: &Value) -> Vec<FieldError> {
    const IMMUTABLE_FIELDS: [&str; 12] = [
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
    let immutable = IMMUTABLE_FIELDS.iter().map(|field| (*field, *field));
    for (field, served_name) in immutable.chain([("reportingComponent", "reportingController")]) {
        if event.get(field) != old.get(field) {
            let value = event.get(field).cloned().unwrap_or(Value::Null);
            errors.push(invalid(served_name, value, IMMUTABLE));
        }
    }
    errors
}

pub(super) fn core_v1_field(label: &str, event: &Value) -> Option<String> {
    let object = &event["involvedObject"];
    Some(match label {
        "involvedObject.kind" => string_or_empty(&object["kind"]),
        "involvedObject.namespace" => string_or_empty(&object["namespace"]),
        "involvedObject.name" => string_or_empty(&object["name"]),
        "involvedObject.uid" => string_or_empty(&object["uid"]),
        "involvedObject.apiVersion" => string_or_empty(&object["apiVersion"]),
        "involvedObject.resourceVersion" => string_or_empty(&object["resourceVersion"]),
        "involvedObject.fieldPath" => string_or_empty(&object["fieldPath"]),
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
    let object = &event["regarding"];
    Some(match label {
        "regarding.kind" => string_or_empty(&object["kind"]),
        "regarding.namespace" => string_or_empty(&object["namespace"]),
        "regarding.name" => string_or_empty(&object["name"]),
        "regarding.uid" => string_or_empty(&object["uid"]),
        "regarding.apiVersion" => string_or_empty(&object["apiVersion"]),
        "regarding.resourceVersion" => string_or_empty(&object["resourceVersion"]),
        "regarding.fieldPath" => string_or_empty(&object["fieldPath"]),
        "reason" => string_or_empty(&event["reason"]),
        "reportingController" => string_or_empty(&event["reportingController"]),
        "type" => string_or_empty(&event["type"]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
