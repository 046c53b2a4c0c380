//! The kinds that are stored.

use super::meta::OBJECT_META;
use super::{Message, Type, field, pointer, repeated};

pub(super) static NAMESPACE: Message = Message {
    name: "Namespace",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&NAMESPACE_SPEC)),
        field(3, "status", Type::Message(&NAMESPACE_STATUS)),
    ],
};

static NAMESPACE_SPEC: Message = Message {
    name: "NamespaceSpec",
    fields: &[repeated(1, "finalizers", Type::Text)],
};

static NAMESPACE_STATUS: Message = Message {
    name: "NamespaceStatus",
    fields: &[
        field(1, "phase", Type::Text),
        repeated(2, "conditions", Type::Message(&NAMESPACE_CONDITION)),
    ],
};

static NAMESPACE_CONDITION: Message = Message {
    name: "NamespaceCondition",
    fields: &[
        field(1, "type", Type::Text),
        field(2, "status", Type::Text),
        field(4, "lastTransitionTime", Type::Time),
        field(5, "reason", Type::Text),
        field(6, "message", Type::Text),
    ],
};

pub(super) static CONFIG_MAP: Message = Message {
    name: "ConfigMap",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        pointer(4, "immutable", Type::Bool),
        field(2, "data", Type::Map(&Type::Text)),
        field(3, "binaryData", Type::Map(&Type::Bytes)),
    ],
};

pub(super) static SECRET: Message = Message {
    name: "Secret",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        pointer(5, "immutable", Type::Bool),
        field(2, "data", Type::Map(&Type::Bytes)),
        field(4, "stringData", Type::Map(&Type::Text)),
        field(3, "type", Type::Text),
    ],
};

pub(super) static SERVICE_ACCOUNT: Message = Message {
    name: "ServiceAccount",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        repeated(2, "secrets", Type::Message(&OBJECT_REFERENCE)),
        repeated(
            3,
            "imagePullSecrets",
            Type::Message(&LOCAL_OBJECT_REFERENCE),
        ),
        pointer(4, "automountServiceAccountToken", Type::Bool),
    ],
};

static LOCAL_OBJECT_REFERENCE: Message = Message {
    name: "LocalObjectReference",
    fields: &[field(1, "name", Type::Text)],
};

static OBJECT_REFERENCE: Message = Message {
    name: "ObjectReference",
    fields: &[
        field(1, "kind", Type::Text),
        field(2, "namespace", Type::Text),
        field(3, "name", Type::Text),
        field(4, "uid", Type::Text),
        field(5, "apiVersion", Type::Text),
        field(6, "resourceVersion", Type::Text),
        field(7, "fieldPath", Type::Text),
    ],
};

pub(super) static CORE_EVENT: Message = Message {
    name: "Event",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "involvedObject", Type::Message(&OBJECT_REFERENCE)),
        field(3, "reason", Type::Text),
        field(4, "message", Type::Text),
        field(5, "source", Type::Message(&EVENT_SOURCE)),
        field(6, "firstTimestamp", Type::Time),
        field(7, "lastTimestamp", Type::Time),
        field(8, "count", Type::Int32),
        field(9, "type", Type::Text),
        field(10, "eventTime", Type::MicroTime),
        field(11, "series", Type::Message(&EVENT_SERIES)),
        field(12, "action", Type::Text),
        field(13, "related", Type::Message(&OBJECT_REFERENCE)),
        field(14, "reportingComponent", Type::Text),
        field(15, "reportingInstance", Type::Text),
    ],
};

static EVENT_SOURCE: Message = Message {
    name: "EventSource",
    fields: &[
        field(1, "component", Type::Text),
        field(2, "host", Type::Text),
    ],
};

static EVENT_SERIES: Message = Message {
    name: "EventSeries",
    fields: &[
        field(1, "count", Type::Int32),
        field(2, "lastObservedTime", Type::MicroTime),
    ],
};

pub(super) static EVENT: Message = Message {
    name: "Event",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "eventTime", Type::MicroTime),
        field(3, "series", Type::Message(&EVENT_SERIES)),
        field(4, "reportingController", Type::Text),
        field(5, "reportingInstance", Type::Text),
        field(6, "action", Type::Text),
        field(7, "reason", Type::Text),
        field(8, "regarding", Type::Message(&OBJECT_REFERENCE)),
        field(9, "related", Type::Message(&OBJECT_REFERENCE)),
        field(10, "note", Type::Text),
        field(11, "type", Type::Text),
        field(12, "deprecatedSource", Type::Message(&EVENT_SOURCE)),
        field(13, "deprecatedFirstTimestamp", Type::Time),
        field(14, "deprecatedLastTimestamp", Type::Time),
        field(15, "deprecatedCount", Type::Int32),
    ],
};

pub(super) static LEASE: Message = Message {
    name: "Lease",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&LEASE_SPEC)),
    ],
};

static LEASE_SPEC: Message = Message {
    name: "LeaseSpec",
    fields: &[
        pointer(1, "holderIdentity", Type::Text),
        pointer(2, "leaseDurationSeconds", Type::Int32),
        field(3, "acquireTime", Type::MicroTime),
        field(4, "renewTime", Type::MicroTime),
        pointer(5, "leaseTransitions", Type::Int32),
        pointer(6, "strategy", Type::Text),
        pointer(7, "preferredHolder", Type::Text),
    ],
};
