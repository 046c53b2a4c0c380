//! The printer columns of the built-in kinds, as upstream's printers define them.

use jiff::Timestamp;
use serde_json::Value;

use super::age::age_of_timestamp;
use super::column::PrinterColumn;
use super::rbac_columns;
use crate::schemas;

/// Returns the columns of a built-in kind, or `None` if there is no such kind.
pub(super) fn builtin_columns(group: &str, kind: &str) -> Option<Vec<PrinterColumn>> {
    Some(match (group, kind) {
        ("", "Namespace") => vec![
            PrinterColumn::name(),
            PrinterColumn::computed(
                "Status",
                "string",
                "",
                0,
                "The status of the namespace",
                |o, _| string_cell(&o["status"]["phase"]),
            ),
            age_column(),
        ],
        ("", "ConfigMap") => vec![
            PrinterColumn::name(),
            described_column("io.k8s.api.core.v1.ConfigMap", "data", "Data", 0, |o, _| {
                count_cell(&[&o["data"], &o["binaryData"]])
            }),
            age_column(),
        ],
        ("", "Secret") => vec![
            PrinterColumn::name(),
            described_column("io.k8s.api.core.v1.Secret", "type", "Type", 0, |o, _| {
                string_cell(&o["type"])
            }),
            described_column("io.k8s.api.core.v1.Secret", "data", "Data", 0, |o, _| {
                count_cell(&[&o["data"]])
            }),
            age_column(),
        ],
        ("", "ServiceAccount") => vec![
            PrinterColumn::name(),
            described_column(
                "io.k8s.api.core.v1.ServiceAccount",
                "secrets",
                "Secrets",
                0,
                |o, _| count_cell(&[&o["secrets"]]),
            ),
            age_column(),
        ],
        ("", "ResourceQuota") => vec![
            PrinterColumn::name(),
            quota_column(
                "Request",
                "Request represents a minimum amount of cpu/memory that a container may consume.",
            ),
            quota_column(
                "Limit",
                "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
            ),
            age_column(),
        ],
        ("", "LimitRange") => vec![PrinterColumn::name(), created_at_column()],
        // There are none.
        ("", "Service") => vec![PrinterColumn::name(), age_column()],
        ("coordination.k8s.io", "Lease") => vec![
            PrinterColumn::name(),
            described_column(
                "io.k8s.api.coordination.v1.LeaseSpec",
                "holderIdentity",
                "Holder",
                0,
                |o, _| string_cell(&o["spec"]["holderIdentity"]),
            ),
            age_column(),
        ],
        ("", "Event") => event_columns(&CORE_EVENT),
        ("events.k8s.io", "Event") => event_columns(&EVENTS_EVENT),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            vec![PrinterColumn::name(), created_at_column()]
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => vec![
            PrinterColumn::name(),
            PrinterColumn::computed(
                "Validations",
                "integer",
                "",
                0,
                "Validations indicates the number of validation rules defined in this configuration",
                |o, _| count_cell(&[&o["spec"]["validations"]]),
            ),
            PrinterColumn::computed(
                "ParamKind",
                "string",
                "",
                0,
                "ParamKind specifies the kind of resources used to parameterize this policy",
                |o, _| param_kind_cell(&o["spec"]["paramKind"]),
            ),
            age_column(),
        ],
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => vec![
            PrinterColumn::name(),
            PrinterColumn::computed(
                "PolicyName",
                "string",
                "",
                0,
                "PolicyName indicates the policy definition which the policy binding binded to",
                |o, _| string_cell(&o["spec"]["policyName"]),
            ),
            PrinterColumn::computed(
                "ParamRef",
                "string",
                "",
                0,
                "ParamRef indicates the param resource which sets the configuration param",
                |o, _| param_ref_cell(&o["spec"]["paramRef"]),
            ),
            age_column(),
        ],
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            vec![PrinterColumn::name(), created_at_column()]
        }
        ("rbac.authorization.k8s.io", "RoleBinding") => {
            rbac_columns::binding_columns("io.k8s.api.rbac.v1.RoleBinding", "roleBinding")
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => rbac_columns::binding_columns(
            "io.k8s.api.rbac.v1.ClusterRoleBinding",
            "clusterRoleBinding",
        ),
        _ => return None,
    })
}

/// The cell of a policy or a binding without parameters.
const UNSET_CELL: &str = "<unset>";

fn param_kind_cell(param_kind: &Value) -> Value {
    if !param_kind.is_object() {
        return UNSET_CELL.into();
    }
    let text = |field: &str| param_kind[field].as_str().unwrap_or_default();
    format!("{}/{}", text("apiVersion"), text("kind")).into()
}

fn param_ref_cell(param_ref: &Value) -> Value {
    match (param_ref["namespace"].as_str(), param_ref["name"].as_str()) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}").into(),
        // The kind of the parameters, which may have namespaces, is in the policy.
        (None, Some(name)) => format!("*/{name}").into(),
        (_, None) if param_ref["selector"].is_object() => param_ref["selector"].to_string().into(),
        (_, None) => UNSET_CELL.into(),
    }
}

pub(super) fn described_column(
    schema: &str,
    field: &str,
    name: &str,
    priority: u32,
    cell: fn(&Value, Timestamp) -> Value,
) -> PrinterColumn {
    PrinterColumn::computed(
        name,
        "string",
        "",
        priority,
        schemas::field_description(schema, field),
        cell,
    )
}

fn created_at_column() -> PrinterColumn {
    PrinterColumn::computed(
        "Created At",
        "date",
        "",
        0,
        schemas::object_meta_field("creationTimestamp"),
        |o, _| string_cell(&o["metadata"]["creationTimestamp"]),
    )
}

/// Returns a column of quotas. There are no quotas, and so it has no cells.
fn quota_column(name: &'static str, description: &'static str) -> PrinterColumn {
    PrinterColumn::computed(name, "string", "", 0, description, |_, _| "".into())
}

pub(super) fn age_column() -> PrinterColumn {
    PrinterColumn::computed(
        "Age",
        "string",
        "",
        0,
        schemas::object_meta_field("creationTimestamp"),
        |object, now| age_cell(&object["metadata"]["creationTimestamp"], now),
    )
}

/// Returns the age of a timestamp, which may be absent.
pub(super) fn age_cell(time: &Value, now: Timestamp) -> Value {
    age_of_timestamp(time.as_str().unwrap_or_default(), now).into()
}

fn string_cell(value: &Value) -> Value {
    value.as_str().unwrap_or_default().into()
}

fn count_cell(collections: &[&Value]) -> Value {
    collections
        .iter()
        .map(|c| match c {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        })
        .sum::<usize>()
        .into()
}

/// The cells of an Event. Two groups have the same columns, but different field
/// names.
struct EventCells {
    last_seen: fn(&Value, Timestamp) -> Value,
    object: fn(&Value, Timestamp) -> Value,
    subobject: fn(&Value, Timestamp) -> Value,
    source: fn(&Value, Timestamp) -> Value,
    message: fn(&Value, Timestamp) -> Value,
    first_seen: fn(&Value, Timestamp) -> Value,
    count: fn(&Value, Timestamp) -> Value,
}

const CORE_EVENT: EventCells = EventCells {
    last_seen: |o, now| last_seen_cell(&o["lastTimestamp"], &o["firstTimestamp"], o, now),
    object: |o, _| object_cell(&o["involvedObject"]),
    subobject: |o, _| string_cell(&o["involvedObject"]["fieldPath"]),
    source: |o, _| {
        source_cell(
            &o["source"],
            &o["reportingComponent"],
            &o["reportingInstance"],
        )
    },
    message: |o, _| trimmed_cell(&o["message"]),
    first_seen: |o, now| first_seen_cell(&o["firstTimestamp"], o, now),
    count: |o, _| event_count_cell(o, &o["count"]),
};

const EVENTS_EVENT: EventCells = EventCells {
    last_seen: |o, now| {
        last_seen_cell(
            &o["deprecatedLastTimestamp"],
            &o["deprecatedFirstTimestamp"],
            o,
            now,
        )
    },
    object: |o, _| object_cell(&o["regarding"]),
    subobject: |o, _| string_cell(&o["regarding"]["fieldPath"]),
    source: |o, _| {
        source_cell(
            &o["deprecatedSource"],
            &o["reportingController"],
            &o["reportingInstance"],
        )
    },
    message: |o, _| trimmed_cell(&o["note"]),
    first_seen: |o, now| first_seen_cell(&o["deprecatedFirstTimestamp"], o, now),
    count: |o, _| event_count_cell(o, &o["deprecatedCount"]),
};

fn event_columns(cells: &EventCells) -> Vec<PrinterColumn> {
    const EVENT: &str = "io.k8s.api.core.v1.Event";
    vec![
        described_column(EVENT, "lastTimestamp", "Last Seen", 0, cells.last_seen),
        described_column(EVENT, "type", "Type", 0, |o, _| string_cell(&o["type"])),
        described_column(EVENT, "reason", "Reason", 0, |o, _| {
            string_cell(&o["reason"])
        }),
        described_column(EVENT, "involvedObject", "Object", 0, cells.object),
        described_column(
            "io.k8s.api.core.v1.ObjectReference",
            "fieldPath",
            "Subobject",
            1,
            cells.subobject,
        ),
        described_column(EVENT, "source", "Source", 1, cells.source),
        described_column(EVENT, "message", "Message", 0, cells.message),
        described_column(EVENT, "firstTimestamp", "First Seen", 1, cells.first_seen),
        described_column(EVENT, "count", "Count", 1, cells.count),
        PrinterColumn::computed(
            "Name",
            "string",
            "name",
            1,
            schemas::object_meta_field("name"),
            |o, _| string_cell(&o["metadata"]["name"]),
        ),
    ]
}

fn first_seen_cell(first: &Value, event: &Value, now: Timestamp) -> Value {
    age_cell(
        if first.is_string() {
            first
        } else {
            &event["eventTime"]
        },
        now,
    )
}

fn last_seen_cell(last: &Value, first: &Value, event: &Value, now: Timestamp) -> Value {
    if event["series"].is_object() {
        age_cell(&event["series"]["lastObservedTime"], now)
    } else if last.is_string() {
        age_cell(last, now)
    } else {
        first_seen_cell(first, event, now)
    }
}

fn object_cell(reference: &Value) -> Value {
    let kind = reference["kind"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    match reference["name"].as_str() {
        Some(name) if !name.is_empty() => format!("{kind}/{name}").into(),
        _ => kind.into(),
    }
}

fn source_cell(source: &Value, controller: &Value, instance: &Value) -> Value {
    let component = first_text(&source["component"], controller);
    match first_text(&source["host"], instance) {
        "" => component.into(),
        host => format!("{component}, {host}").into(),
    }
}

fn first_text<'v>(first: &'v Value, second: &'v Value) -> &'v str {
    first
        .as_str()
        .filter(|s| !s.is_empty())
        .or_else(|| second.as_str())
        .unwrap_or_default()
}

fn trimmed_cell(value: &Value) -> Value {
    value.as_str().unwrap_or_default().trim().into()
}

/// Returns the count of an event. The count of a single occurrence may be omitted.
fn event_count_cell(event: &Value, count: &Value) -> Value {
    if event["series"].is_object() {
        return event["series"]["count"].as_i64().unwrap_or_default().into();
    }
    match count.as_i64() {
        None | Some(0) => 1.into(),
        Some(count) => count.into(),
    }
}
