//! What every kind has, and what goes with every request.

use super::{Message, Type, field, pointer, repeated};

pub(super) static OBJECT_META: Message = Message {
    name: "ObjectMeta",
    fields: &[
        field(1, "name", Type::Text),
        field(2, "generateName", Type::Text),
        field(3, "namespace", Type::Text),
        field(4, "selfLink", Type::Text),
        field(5, "uid", Type::Text),
        field(6, "resourceVersion", Type::Text),
        field(7, "generation", Type::Int64),
        field(8, "creationTimestamp", Type::Time),
        field(9, "deletionTimestamp", Type::Time),
        pointer(10, "deletionGracePeriodSeconds", Type::Int64),
        field(11, "labels", Type::Map(&Type::Text)),
        field(12, "annotations", Type::Map(&Type::Text)),
        repeated(13, "ownerReferences", Type::Message(&OWNER_REFERENCE)),
        repeated(14, "finalizers", Type::Text),
        repeated(17, "managedFields", Type::Message(&MANAGED_FIELDS_ENTRY)),
    ],
};

static OWNER_REFERENCE: Message = Message {
    name: "OwnerReference",
    fields: &[
        field(5, "apiVersion", Type::Text),
        field(1, "kind", Type::Text),
        field(3, "name", Type::Text),
        field(4, "uid", Type::Text),
        pointer(6, "controller", Type::Bool),
        pointer(7, "blockOwnerDeletion", Type::Bool),
    ],
};

static MANAGED_FIELDS_ENTRY: Message = Message {
    name: "ManagedFieldsEntry",
    fields: &[
        field(1, "manager", Type::Text),
        field(2, "operation", Type::Text),
        field(3, "apiVersion", Type::Text),
        field(4, "time", Type::Time),
        field(6, "fieldsType", Type::Text),
        field(7, "fieldsV1", Type::Json),
        field(8, "subresource", Type::Text),
    ],
};

pub(super) static DELETE_OPTIONS: Message = Message {
    name: "DeleteOptions",
    fields: &[
        pointer(1, "gracePeriodSeconds", Type::Int64),
        field(2, "preconditions", Type::Message(&PRECONDITIONS)),
        pointer(3, "orphanDependents", Type::Bool),
        pointer(4, "propagationPolicy", Type::Text),
        repeated(5, "dryRun", Type::Text),
        pointer(
            6,
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            Type::Bool,
        ),
    ],
};

static PRECONDITIONS: Message = Message {
    name: "Preconditions",
    fields: &[
        pointer(1, "uid", Type::Text),
        pointer(2, "resourceVersion", Type::Text),
    ],
};

pub(in super::super) static ENVELOPE: Message = Message {
    name: "Unknown",
    fields: &[
        field(1, "typeMeta", Type::Message(&TYPE_META)),
        field(2, "raw", Type::Skip),
        field(3, "contentEncoding", Type::Text),
        field(4, "contentType", Type::Text),
    ],
};

static TYPE_META: Message = Message {
    name: "TypeMeta",
    fields: &[
        field(1, "apiVersion", Type::Text),
        field(2, "kind", Type::Text),
    ],
};
