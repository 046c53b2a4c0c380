//! Messages that all kinds share: metadata, delete options, and the envelope.

use super::{FieldType, MessageDescriptor, field, pointer, repeated};

pub(super) static OBJECT_META: MessageDescriptor = MessageDescriptor {
    name: "ObjectMeta",
    fields: &[
        field(1, "name", FieldType::Text),
        field(2, "generateName", FieldType::Text),
        field(3, "namespace", FieldType::Text),
        field(4, "selfLink", FieldType::Text),
        field(5, "uid", FieldType::Text),
        field(6, "resourceVersion", FieldType::Text),
        field(7, "generation", FieldType::Int64),
        field(8, "creationTimestamp", FieldType::Time),
        field(9, "deletionTimestamp", FieldType::Time),
        pointer(10, "deletionGracePeriodSeconds", FieldType::Int64),
        field(11, "labels", FieldType::Map(&FieldType::Text)),
        field(12, "annotations", FieldType::Map(&FieldType::Text)),
        repeated(13, "ownerReferences", FieldType::Message(&OWNER_REFERENCE)),
        repeated(14, "finalizers", FieldType::Text),
        repeated(
            17,
            "managedFields",
            FieldType::Message(&MANAGED_FIELDS_ENTRY),
        ),
    ],
};

static OWNER_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "OwnerReference",
    fields: &[
        field(5, "apiVersion", FieldType::Text),
        field(1, "kind", FieldType::Text),
        field(3, "name", FieldType::Text),
        field(4, "uid", FieldType::Text),
        pointer(6, "controller", FieldType::Bool),
        pointer(7, "blockOwnerDeletion", FieldType::Bool),
    ],
};

static MANAGED_FIELDS_ENTRY: MessageDescriptor = MessageDescriptor {
    name: "ManagedFieldsEntry",
    fields: &[
        field(1, "manager", FieldType::Text),
        field(2, "operation", FieldType::Text),
        field(3, "apiVersion", FieldType::Text),
        field(4, "time", FieldType::Time),
        field(6, "fieldsType", FieldType::Text),
        field(7, "fieldsV1", FieldType::Json),
        field(8, "subresource", FieldType::Text),
    ],
};

pub(super) static DELETE_OPTIONS: MessageDescriptor = MessageDescriptor {
    name: "DeleteOptions",
    fields: &[
        pointer(1, "gracePeriodSeconds", FieldType::Int64),
        field(2, "preconditions", FieldType::Message(&PRECONDITIONS)),
        pointer(3, "orphanDependents", FieldType::Bool),
        pointer(4, "propagationPolicy", FieldType::Text),
        repeated(5, "dryRun", FieldType::Text),
        pointer(
            6,
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            FieldType::Bool,
        ),
    ],
};

static PRECONDITIONS: MessageDescriptor = MessageDescriptor {
    name: "Preconditions",
    fields: &[
        pointer(1, "uid", FieldType::Text),
        pointer(2, "resourceVersion", FieldType::Text),
    ],
};

pub(in super::super) static ENVELOPE: MessageDescriptor = MessageDescriptor {
    name: "Unknown",
    fields: &[
        field(1, "typeMeta", FieldType::Message(&TYPE_META)),
        field(2, "raw", FieldType::Skip),
        field(3, "contentEncoding", FieldType::Text),
        field(4, "contentType", FieldType::Text),
    ],
};

static TYPE_META: MessageDescriptor = MessageDescriptor {
    name: "TypeMeta",
    fields: &[
        field(1, "apiVersion", FieldType::Text),
        field(2, "kind", FieldType::Text),
    ],
};
