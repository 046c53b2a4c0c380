//! Messages that all kinds share: metadata, delete options, and the envelope.

use super::{MessageDescriptor, ProtobufType, field, pointer, repeated};

pub(super) static OBJECT_META: MessageDescriptor = MessageDescriptor {
    name: "ObjectMeta",
    fields: &[
        field(1, "name", ProtobufType::Text),
        field(2, "generateName", ProtobufType::Text),
        field(3, "namespace", ProtobufType::Text),
        field(4, "selfLink", ProtobufType::Text),
        field(5, "uid", ProtobufType::Text),
        field(6, "resourceVersion", ProtobufType::Text),
        field(7, "generation", ProtobufType::Int64),
        field(8, "creationTimestamp", ProtobufType::Time),
        field(9, "deletionTimestamp", ProtobufType::Time),
        pointer(10, "deletionGracePeriodSeconds", ProtobufType::Int64),
        field(11, "labels", ProtobufType::Map(&ProtobufType::Text)),
        field(12, "annotations", ProtobufType::Map(&ProtobufType::Text)),
        repeated(
            13,
            "ownerReferences",
            ProtobufType::Message(&OWNER_REFERENCE),
        ),
        repeated(14, "finalizers", ProtobufType::Text),
        repeated(
            17,
            "managedFields",
            ProtobufType::Message(&MANAGED_FIELDS_ENTRY),
        ),
    ],
};

static OWNER_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "OwnerReference",
    fields: &[
        field(5, "apiVersion", ProtobufType::Text),
        field(1, "kind", ProtobufType::Text),
        field(3, "name", ProtobufType::Text),
        field(4, "uid", ProtobufType::Text),
        pointer(6, "controller", ProtobufType::Bool),
        pointer(7, "blockOwnerDeletion", ProtobufType::Bool),
    ],
};

static MANAGED_FIELDS_ENTRY: MessageDescriptor = MessageDescriptor {
    name: "ManagedFieldsEntry",
    fields: &[
        field(1, "manager", ProtobufType::Text),
        field(2, "operation", ProtobufType::Text),
        field(3, "apiVersion", ProtobufType::Text),
        field(4, "time", ProtobufType::Time),
        field(6, "fieldsType", ProtobufType::Text),
        field(7, "fieldsV1", ProtobufType::Json),
        field(8, "subresource", ProtobufType::Text),
    ],
};

pub(super) static DELETE_OPTIONS: MessageDescriptor = MessageDescriptor {
    name: "DeleteOptions",
    fields: &[
        pointer(1, "gracePeriodSeconds", ProtobufType::Int64),
        field(2, "preconditions", ProtobufType::Message(&PRECONDITIONS)),
        pointer(3, "orphanDependents", ProtobufType::Bool),
        pointer(4, "propagationPolicy", ProtobufType::Text),
        repeated(5, "dryRun", ProtobufType::Text),
        pointer(
            6,
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            ProtobufType::Bool,
        ),
    ],
};

static PRECONDITIONS: MessageDescriptor = MessageDescriptor {
    name: "Preconditions",
    fields: &[
        pointer(1, "uid", ProtobufType::Text),
        pointer(2, "resourceVersion", ProtobufType::Text),
    ],
};

/// The metadata of a list.
pub(in super::super) static LIST_META: MessageDescriptor = MessageDescriptor {
    name: "ListMeta",
    fields: &[
        field(1, "selfLink", ProtobufType::Text),
        field(2, "resourceVersion", ProtobufType::Text),
        field(3, "continue", ProtobufType::Text),
        pointer(4, "remainingItemCount", ProtobufType::Int64),
    ],
};

pub(super) static PARTIAL_OBJECT_METADATA: MessageDescriptor = MessageDescriptor {
    name: "PartialObjectMetadata",
    fields: &[field(1, "metadata", ProtobufType::Message(&OBJECT_META))],
};

pub(super) static STATUS: MessageDescriptor = MessageDescriptor {
    name: "Status",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&LIST_META)),
        field(2, "status", ProtobufType::Text),
        field(3, "message", ProtobufType::Text),
        field(4, "reason", ProtobufType::Text),
        field(5, "details", ProtobufType::Message(&STATUS_DETAILS)),
        field(6, "code", ProtobufType::Int32),
    ],
};

static STATUS_DETAILS: MessageDescriptor = MessageDescriptor {
    name: "StatusDetails",
    fields: &[
        field(1, "name", ProtobufType::Text),
        field(2, "group", ProtobufType::Text),
        field(3, "kind", ProtobufType::Text),
        field(6, "uid", ProtobufType::Text),
        repeated(4, "causes", ProtobufType::Message(&STATUS_CAUSE)),
        field(5, "retryAfterSeconds", ProtobufType::Int32),
    ],
};

static STATUS_CAUSE: MessageDescriptor = MessageDescriptor {
    name: "StatusCause",
    fields: &[
        field(1, "reason", ProtobufType::Text),
        field(2, "message", ProtobufType::Text),
        field(3, "field", ProtobufType::Text),
    ],
};

pub(in super::super) static ENVELOPE: MessageDescriptor = MessageDescriptor {
    name: "Unknown",
    fields: &[
        field(1, "typeMeta", ProtobufType::Message(&TYPE_META)),
        field(2, "raw", ProtobufType::Skip),
        field(3, "contentEncoding", ProtobufType::Text),
        field(4, "contentType", ProtobufType::Text),
    ],
};

static TYPE_META: MessageDescriptor = MessageDescriptor {
    name: "TypeMeta",
    fields: &[
        field(1, "apiVersion", ProtobufType::Text),
        field(2, "kind", ProtobufType::Text),
    ],
};
