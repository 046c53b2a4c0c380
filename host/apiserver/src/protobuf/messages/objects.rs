//! Messages of the kinds that are stored.

use super::meta::OBJECT_META;
use super::{MessageDescriptor, ProtobufType, field, pointer, repeated};

pub(super) static NAMESPACE: MessageDescriptor = MessageDescriptor {
    name: "Namespace",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&NAMESPACE_SPEC)),
        field(3, "status", ProtobufType::Message(&NAMESPACE_STATUS)),
    ],
};

static NAMESPACE_SPEC: MessageDescriptor = MessageDescriptor {
    name: "NamespaceSpec",
    fields: &[repeated(1, "finalizers", ProtobufType::Text)],
};

static NAMESPACE_STATUS: MessageDescriptor = MessageDescriptor {
    name: "NamespaceStatus",
    fields: &[
        field(1, "phase", ProtobufType::Text),
        repeated(2, "conditions", ProtobufType::Message(&NAMESPACE_CONDITION)),
    ],
};

static NAMESPACE_CONDITION: MessageDescriptor = MessageDescriptor {
    name: "NamespaceCondition",
    fields: &[
        field(1, "type", ProtobufType::Text),
        field(2, "status", ProtobufType::Text),
        field(4, "lastTransitionTime", ProtobufType::Time),
        field(5, "reason", ProtobufType::Text),
        field(6, "message", ProtobufType::Text),
    ],
};

pub(super) static CONFIG_MAP: MessageDescriptor = MessageDescriptor {
    name: "ConfigMap",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        pointer(4, "immutable", ProtobufType::Bool),
        field(2, "data", ProtobufType::Map(&ProtobufType::Text)),
        field(3, "binaryData", ProtobufType::Map(&ProtobufType::Bytes)),
    ],
};

pub(super) static SECRET: MessageDescriptor = MessageDescriptor {
    name: "Secret",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        pointer(5, "immutable", ProtobufType::Bool),
        field(2, "data", ProtobufType::Map(&ProtobufType::Bytes)),
        field(4, "stringData", ProtobufType::Map(&ProtobufType::Text)),
        field(3, "type", ProtobufType::Text),
    ],
};

pub(super) static SERVICE_ACCOUNT: MessageDescriptor = MessageDescriptor {
    name: "ServiceAccount",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        repeated(2, "secrets", ProtobufType::Message(&OBJECT_REFERENCE)),
        repeated(
            3,
            "imagePullSecrets",
            ProtobufType::Message(&LOCAL_OBJECT_REFERENCE),
        ),
        pointer(4, "automountServiceAccountToken", ProtobufType::Bool),
    ],
};

static LOCAL_OBJECT_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "LocalObjectReference",
    fields: &[field(1, "name", ProtobufType::Text)],
};

static OBJECT_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "ObjectReference",
    fields: &[
        field(1, "kind", ProtobufType::Text),
        field(2, "namespace", ProtobufType::Text),
        field(3, "name", ProtobufType::Text),
        field(4, "uid", ProtobufType::Text),
        field(5, "apiVersion", ProtobufType::Text),
        field(6, "resourceVersion", ProtobufType::Text),
        field(7, "fieldPath", ProtobufType::Text),
    ],
};

pub(super) static CORE_EVENT: MessageDescriptor = MessageDescriptor {
    name: "Event",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "involvedObject",
            ProtobufType::Message(&OBJECT_REFERENCE),
        ),
        field(3, "reason", ProtobufType::Text),
        field(4, "message", ProtobufType::Text),
        field(5, "source", ProtobufType::Message(&EVENT_SOURCE)),
        field(6, "firstTimestamp", ProtobufType::Time),
        field(7, "lastTimestamp", ProtobufType::Time),
        field(8, "count", ProtobufType::Int32),
        field(9, "type", ProtobufType::Text),
        field(10, "eventTime", ProtobufType::MicroTime),
        field(11, "series", ProtobufType::Message(&EVENT_SERIES)),
        field(12, "action", ProtobufType::Text),
        field(13, "related", ProtobufType::Message(&OBJECT_REFERENCE)),
        field(14, "reportingComponent", ProtobufType::Text),
        field(15, "reportingInstance", ProtobufType::Text),
    ],
};

static EVENT_SOURCE: MessageDescriptor = MessageDescriptor {
    name: "EventSource",
    fields: &[
        field(1, "component", ProtobufType::Text),
        field(2, "host", ProtobufType::Text),
    ],
};

static EVENT_SERIES: MessageDescriptor = MessageDescriptor {
    name: "EventSeries",
    fields: &[
        field(1, "count", ProtobufType::Int32),
        field(2, "lastObservedTime", ProtobufType::MicroTime),
    ],
};

pub(super) static EVENT: MessageDescriptor = MessageDescriptor {
    name: "Event",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "eventTime", ProtobufType::MicroTime),
        field(3, "series", ProtobufType::Message(&EVENT_SERIES)),
        field(4, "reportingController", ProtobufType::Text),
        field(5, "reportingInstance", ProtobufType::Text),
        field(6, "action", ProtobufType::Text),
        field(7, "reason", ProtobufType::Text),
        field(8, "regarding", ProtobufType::Message(&OBJECT_REFERENCE)),
        field(9, "related", ProtobufType::Message(&OBJECT_REFERENCE)),
        field(10, "note", ProtobufType::Text),
        field(11, "type", ProtobufType::Text),
        field(12, "deprecatedSource", ProtobufType::Message(&EVENT_SOURCE)),
        field(13, "deprecatedFirstTimestamp", ProtobufType::Time),
        field(14, "deprecatedLastTimestamp", ProtobufType::Time),
        field(15, "deprecatedCount", ProtobufType::Int32),
    ],
};

pub(super) static LEASE: MessageDescriptor = MessageDescriptor {
    name: "Lease",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&LEASE_SPEC)),
    ],
};

static LEASE_SPEC: MessageDescriptor = MessageDescriptor {
    name: "LeaseSpec",
    fields: &[
        pointer(1, "holderIdentity", ProtobufType::Text),
        pointer(2, "leaseDurationSeconds", ProtobufType::Int32),
        field(3, "acquireTime", ProtobufType::MicroTime),
        field(4, "renewTime", ProtobufType::MicroTime),
        pointer(5, "leaseTransitions", ProtobufType::Int32),
        pointer(6, "strategy", ProtobufType::Text),
        pointer(7, "preferredHolder", ProtobufType::Text),
    ],
};

pub(super) static SCALE: MessageDescriptor = MessageDescriptor {
    name: "Scale",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&SCALE_SPEC)),
        field(3, "status", ProtobufType::Message(&SCALE_STATUS)),
    ],
};

static SCALE_SPEC: MessageDescriptor = MessageDescriptor {
    name: "ScaleSpec",
    fields: &[field(1, "replicas", ProtobufType::Int32)],
};

static SCALE_STATUS: MessageDescriptor = MessageDescriptor {
    name: "ScaleStatus",
    fields: &[
        field(1, "replicas", ProtobufType::Int32),
        field(2, "selector", ProtobufType::Text),
    ],
};
