//! Messages of the kinds that are stored.

use super::meta::OBJECT_META;
use super::{FieldType, MessageDescriptor, field, pointer, repeated};

pub(super) static NAMESPACE: MessageDescriptor = MessageDescriptor {
    name: "Namespace",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "spec", FieldType::Message(&NAMESPACE_SPEC)),
        field(3, "status", FieldType::Message(&NAMESPACE_STATUS)),
    ],
};

static NAMESPACE_SPEC: MessageDescriptor = MessageDescriptor {
    name: "NamespaceSpec",
    fields: &[repeated(1, "finalizers", FieldType::Text)],
};

static NAMESPACE_STATUS: MessageDescriptor = MessageDescriptor {
    name: "NamespaceStatus",
    fields: &[
        field(1, "phase", FieldType::Text),
        repeated(2, "conditions", FieldType::Message(&NAMESPACE_CONDITION)),
    ],
};

static NAMESPACE_CONDITION: MessageDescriptor = MessageDescriptor {
    name: "NamespaceCondition",
    fields: &[
        field(1, "type", FieldType::Text),
        field(2, "status", FieldType::Text),
        field(4, "lastTransitionTime", FieldType::Time),
        field(5, "reason", FieldType::Text),
        field(6, "message", FieldType::Text),
    ],
};

pub(super) static CONFIG_MAP: MessageDescriptor = MessageDescriptor {
    name: "ConfigMap",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        pointer(4, "immutable", FieldType::Bool),
        field(2, "data", FieldType::Map(&FieldType::Text)),
        field(3, "binaryData", FieldType::Map(&FieldType::Bytes)),
    ],
};

pub(super) static SECRET: MessageDescriptor = MessageDescriptor {
    name: "Secret",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        pointer(5, "immutable", FieldType::Bool),
        field(2, "data", FieldType::Map(&FieldType::Bytes)),
        field(4, "stringData", FieldType::Map(&FieldType::Text)),
        field(3, "type", FieldType::Text),
    ],
};

pub(super) static SERVICE_ACCOUNT: MessageDescriptor = MessageDescriptor {
    name: "ServiceAccount",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        repeated(2, "secrets", FieldType::Message(&OBJECT_REFERENCE)),
        repeated(
            3,
            "imagePullSecrets",
            FieldType::Message(&LOCAL_OBJECT_REFERENCE),
        ),
        pointer(4, "automountServiceAccountToken", FieldType::Bool),
    ],
};

static LOCAL_OBJECT_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "LocalObjectReference",
    fields: &[field(1, "name", FieldType::Text)],
};

static OBJECT_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "ObjectReference",
    fields: &[
        field(1, "kind", FieldType::Text),
        field(2, "namespace", FieldType::Text),
        field(3, "name", FieldType::Text),
        field(4, "uid", FieldType::Text),
        field(5, "apiVersion", FieldType::Text),
        field(6, "resourceVersion", FieldType::Text),
        field(7, "fieldPath", FieldType::Text),
    ],
};

pub(super) static CORE_EVENT: MessageDescriptor = MessageDescriptor {
    name: "Event",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "involvedObject", FieldType::Message(&OBJECT_REFERENCE)),
        field(3, "reason", FieldType::Text),
        field(4, "message", FieldType::Text),
        field(5, "source", FieldType::Message(&EVENT_SOURCE)),
        field(6, "firstTimestamp", FieldType::Time),
        field(7, "lastTimestamp", FieldType::Time),
        field(8, "count", FieldType::Int32),
        field(9, "type", FieldType::Text),
        field(10, "eventTime", FieldType::MicroTime),
        field(11, "series", FieldType::Message(&EVENT_SERIES)),
        field(12, "action", FieldType::Text),
        field(13, "related", FieldType::Message(&OBJECT_REFERENCE)),
        field(14, "reportingComponent", FieldType::Text),
        field(15, "reportingInstance", FieldType::Text),
    ],
};

static EVENT_SOURCE: MessageDescriptor = MessageDescriptor {
    name: "EventSource",
    fields: &[
        field(1, "component", FieldType::Text),
        field(2, "host", FieldType::Text),
    ],
};

static EVENT_SERIES: MessageDescriptor = MessageDescriptor {
    name: "EventSeries",
    fields: &[
        field(1, "count", FieldType::Int32),
        field(2, "lastObservedTime", FieldType::MicroTime),
    ],
};

pub(super) static EVENT: MessageDescriptor = MessageDescriptor {
    name: "Event",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "eventTime", FieldType::MicroTime),
        field(3, "series", FieldType::Message(&EVENT_SERIES)),
        field(4, "reportingController", FieldType::Text),
        field(5, "reportingInstance", FieldType::Text),
        field(6, "action", FieldType::Text),
        field(7, "reason", FieldType::Text),
        field(8, "regarding", FieldType::Message(&OBJECT_REFERENCE)),
        field(9, "related", FieldType::Message(&OBJECT_REFERENCE)),
        field(10, "note", FieldType::Text),
        field(11, "type", FieldType::Text),
        field(12, "deprecatedSource", FieldType::Message(&EVENT_SOURCE)),
        field(13, "deprecatedFirstTimestamp", FieldType::Time),
        field(14, "deprecatedLastTimestamp", FieldType::Time),
        field(15, "deprecatedCount", FieldType::Int32),
    ],
};

pub(super) static LEASE: MessageDescriptor = MessageDescriptor {
    name: "Lease",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "spec", FieldType::Message(&LEASE_SPEC)),
    ],
};

static LEASE_SPEC: MessageDescriptor = MessageDescriptor {
    name: "LeaseSpec",
    fields: &[
        pointer(1, "holderIdentity", FieldType::Text),
        pointer(2, "leaseDurationSeconds", FieldType::Int32),
        field(3, "acquireTime", FieldType::MicroTime),
        field(4, "renewTime", FieldType::MicroTime),
        pointer(5, "leaseTransitions", FieldType::Int32),
        pointer(6, "strategy", FieldType::Text),
        pointer(7, "preferredHolder", FieldType::Text),
    ],
};
