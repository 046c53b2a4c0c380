//! The messages that clients send, as Kubernetes numbers their fields.

/// One message: a name for errors, and its fields.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    fields: &'static [Field],
}

/// One field: its number on the wire and its name in JSON.
#[derive(Debug)]
pub(super) struct Field {
    number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) repeated: bool,
    /// A pointer in Go: an empty value says something.
    pub(super) pointer: bool,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    /// RFC 3339 with whole seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
    Message(&'static Message),
    /// A message whose field `items` is a list on its own in JSON.
    List(&'static Message),
    /// A map by text.
    Map(&'static Type),
    /// A message around bytes that are JSON.
    Json,
    /// Not read.
    Skip,
}

impl Message {
    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// Kinds that are sent on their own, by `apiVersion` and `kind`.
static TOPS: [(&str, &str, &Message); 13] = [
    ("v1", "Namespace", &NAMESPACE),
    ("v1", "ConfigMap", &CONFIG_MAP),
    ("v1", "Secret", &SECRET),
    ("v1", "ServiceAccount", &SERVICE_ACCOUNT),
    ("v1", "Event", &CORE_EVENT),
    ("events.k8s.io/v1", "Event", &EVENT),
    ("coordination.k8s.io/v1", "Lease", &LEASE),
    ("authentication.k8s.io/v1", "TokenReview", &TOKEN_REVIEW),
    (
        "authentication.k8s.io/v1",
        "SelfSubjectReview",
        &SELF_SUBJECT_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        &SELF_SUBJECT_ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SubjectAccessReview",
        &SUBJECT_ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "LocalSubjectAccessReview",
        &LOCAL_SUBJECT_ACCESS_REVIEW,
    ),
    (
        "authorization.k8s.io/v1",
        "SelfSubjectRulesReview",
        &SELF_SUBJECT_RULES_REVIEW,
    ),
];

/// The message of a kind; every group has `DeleteOptions`.
pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static Message> {
    if kind == "DeleteOptions" {
        return Some(&DELETE_OPTIONS);
    }
    TOPS.iter()
        .find(|(version, name, _)| *version == api_version && *name == kind)
        .map(|(.., message)| *message)
}

const fn field(number: u32, name: &'static str, kind: Type) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
        pointer: false,
    }
}

const fn pointer(number: u32, name: &'static str, kind: Type) -> Field {
    Field {
        pointer: true,
        ..field(number, name, kind)
    }
}

const fn repeated(number: u32, name: &'static str, kind: Type) -> Field {
    Field {
        repeated: true,
        ..field(number, name, kind)
    }
}

static OBJECT_META: Message = Message {
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

static NAMESPACE: Message = Message {
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

static CONFIG_MAP: Message = Message {
    name: "ConfigMap",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        pointer(4, "immutable", Type::Bool),
        field(2, "data", Type::Map(&Type::Text)),
        field(3, "binaryData", Type::Map(&Type::Bytes)),
    ],
};

static SECRET: Message = Message {
    name: "Secret",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        pointer(5, "immutable", Type::Bool),
        field(2, "data", Type::Map(&Type::Bytes)),
        field(4, "stringData", Type::Map(&Type::Text)),
        field(3, "type", Type::Text),
    ],
};

static SERVICE_ACCOUNT: Message = Message {
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

static CORE_EVENT: Message = Message {
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

static EVENT: Message = Message {
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

static LEASE: Message = Message {
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

static DELETE_OPTIONS: Message = Message {
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

static TOKEN_REVIEW: Message = Message {
    name: "TokenReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&TOKEN_REVIEW_SPEC)),
    ],
};

static TOKEN_REVIEW_SPEC: Message = Message {
    name: "TokenReviewSpec",
    fields: &[
        field(1, "token", Type::Text),
        repeated(2, "audiences", Type::Text),
    ],
};

static SELF_SUBJECT_REVIEW: Message = Message {
    name: "SelfSubjectReview",
    fields: &[field(1, "metadata", Type::Message(&OBJECT_META))],
};

static SELF_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SelfSubjectAccessReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&SELF_SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

static SELF_SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectAccessReviewSpec",
    fields: &[
        field(1, "resourceAttributes", Type::Message(&RESOURCE_ATTRIBUTES)),
        field(
            2,
            "nonResourceAttributes",
            Type::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
    ],
};

static SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SubjectAccessReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

static LOCAL_SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "LocalSubjectAccessReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

static SUBJECT_ACCESS_REVIEW_SPEC: Message = Message {
    name: "SubjectAccessReviewSpec",
    fields: &[
        field(1, "resourceAttributes", Type::Message(&RESOURCE_ATTRIBUTES)),
        field(
            2,
            "nonResourceAttributes",
            Type::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
        field(3, "user", Type::Text),
        repeated(4, "groups", Type::Text),
        field(5, "extra", Type::Map(&Type::List(&EXTRA_VALUE))),
        field(6, "uid", Type::Text),
    ],
};

static EXTRA_VALUE: Message = Message {
    name: "ExtraValue",
    fields: &[repeated(1, "items", Type::Text)],
};

static RESOURCE_ATTRIBUTES: Message = Message {
    name: "ResourceAttributes",
    fields: &[
        field(1, "namespace", Type::Text),
        field(2, "verb", Type::Text),
        field(3, "group", Type::Text),
        field(4, "version", Type::Text),
        field(5, "resource", Type::Text),
        field(6, "subresource", Type::Text),
        field(7, "name", Type::Text),
        field(8, "fieldSelector", Type::Message(&SELECTOR_ATTRIBUTES)),
        field(9, "labelSelector", Type::Message(&SELECTOR_ATTRIBUTES)),
    ],
};

static SELECTOR_ATTRIBUTES: Message = Message {
    name: "SelectorAttributes",
    fields: &[
        field(1, "rawSelector", Type::Text),
        repeated(2, "requirements", Type::Message(&SELECTOR_REQUIREMENT)),
    ],
};

static SELECTOR_REQUIREMENT: Message = Message {
    name: "SelectorRequirement",
    fields: &[
        field(1, "key", Type::Text),
        field(2, "operator", Type::Text),
        repeated(3, "values", Type::Text),
    ],
};

static NON_RESOURCE_ATTRIBUTES: Message = Message {
    name: "NonResourceAttributes",
    fields: &[field(1, "path", Type::Text), field(2, "verb", Type::Text)],
};

static SELF_SUBJECT_RULES_REVIEW: Message = Message {
    name: "SelfSubjectRulesReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&SELF_SUBJECT_RULES_REVIEW_SPEC)),
    ],
};

static SELF_SUBJECT_RULES_REVIEW_SPEC: Message = Message {
    name: "SelfSubjectRulesReviewSpec",
    fields: &[field(1, "namespace", Type::Text)],
};

pub(super) static ENVELOPE: Message = Message {
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
