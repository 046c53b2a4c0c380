//! The messages of the built-in kinds, with the field numbers of Kubernetes. The
//! fields are in the order of Go's structures, which is that of Kubernetes' JSON.

mod definitions;
mod discovery;
mod meta;
mod objects;
mod rbac;
mod reviews;

use self::definitions::CUSTOM_RESOURCE_DEFINITION;
use self::discovery::{API_GROUP, API_GROUP_LIST, API_RESOURCE_LIST, API_VERSIONS};
use self::meta::{DELETE_OPTIONS, PARTIAL_OBJECT_METADATA, STATUS};
pub(super) use self::meta::{ENVELOPE, LIST_META};
use self::objects::{
    CONFIG_MAP, CORE_EVENT, EVENT, LEASE, NAMESPACE, SCALE, SECRET, SERVICE_ACCOUNT,
};
use self::rbac::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING};
use self::reviews::{
    LOCAL_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW, SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW,
};

/// A message: its name, for errors, and its fields.
#[derive(Debug)]
pub(super) struct MessageDescriptor {
    pub(super) name: &'static str,
    pub(super) fields: &'static [FieldDescriptor],
}

/// A field: its number in the wire format and its name in JSON.
#[derive(Debug)]
pub(super) struct FieldDescriptor {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) field_type: ProtobufType,
    pub(super) is_repeated: bool,
    /// Whether it is a pointer in Go, so that an empty value differs from none.
    pub(super) is_pointer: bool,
}

/// The type of a field.
#[derive(Debug)]
pub(super) enum ProtobufType {
    Text,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// RFC 3339 with whole seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
    Message(&'static MessageDescriptor),
    /// A message that is the list of its field `items` in JSON.
    List(&'static MessageDescriptor),
    /// A message that is the value of the field that is set in it in JSON.
    Choice(&'static MessageDescriptor),
    /// A map with texts as keys.
    Map(&'static ProtobufType),
    /// A message that holds JSON in its only field.
    Json,
    /// A field that is ignored.
    Skip,
}

impl MessageDescriptor {
    pub(super) fn field(&self, number: u32) -> Option<&'static FieldDescriptor> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// The messages of kinds, by `apiVersion` and `kind`.
static TOP_LEVEL_MESSAGES: [(&str, &str, &MessageDescriptor); 28] = [
    ("v1", "Namespace", &NAMESPACE),
    ("v1", "ConfigMap", &CONFIG_MAP),
    ("v1", "Secret", &SECRET),
    ("v1", "ServiceAccount", &SERVICE_ACCOUNT),
    ("v1", "Event", &CORE_EVENT),
    // There are no objects of these kinds.
    ("v1", "ResourceQuota", &PARTIAL_OBJECT_METADATA),
    ("v1", "LimitRange", &PARTIAL_OBJECT_METADATA),
    ("v1", "Service", &PARTIAL_OBJECT_METADATA),
    ("v1", "Status", &STATUS),
    ("v1", "APIVersions", &API_VERSIONS),
    ("v1", "APIGroupList", &API_GROUP_LIST),
    ("v1", "APIGroup", &API_GROUP),
    ("v1", "APIResourceList", &API_RESOURCE_LIST),
    (
        "meta.k8s.io/v1",
        "PartialObjectMetadata",
        &PARTIAL_OBJECT_METADATA,
    ),
    ("events.k8s.io/v1", "Event", &EVENT),
    ("coordination.k8s.io/v1", "Lease", &LEASE),
    ("autoscaling/v1", "Scale", &SCALE),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &CUSTOM_RESOURCE_DEFINITION,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", &ROLE),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", &CLUSTER_ROLE),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", &ROLE_BINDING),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        &CLUSTER_ROLE_BINDING,
    ),
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

/// Returns the message of a kind; every version has `DeleteOptions`.
pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static MessageDescriptor> {
    if kind == "DeleteOptions" {
        return Some(&DELETE_OPTIONS);
    }
    TOP_LEVEL_MESSAGES
        .iter()
        .find(|(version, name, _)| *version == api_version && *name == kind)
        .map(|(.., message)| *message)
}

/// Returns the messages of all kinds.
#[cfg(test)]
pub(super) fn top_level() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOP_LEVEL_MESSAGES
        .iter()
        .map(|(version, kind, _)| (*version, *kind))
}

const fn field(number: u32, name: &'static str, kind: ProtobufType) -> FieldDescriptor {
    FieldDescriptor {
        number,
        name,
        field_type: kind,
        is_repeated: false,
        is_pointer: false,
    }
}

const fn pointer(number: u32, name: &'static str, kind: ProtobufType) -> FieldDescriptor {
    FieldDescriptor {
        is_pointer: true,
        ..field(number, name, kind)
    }
}

const fn repeated(number: u32, name: &'static str, kind: ProtobufType) -> FieldDescriptor {
    FieldDescriptor {
        is_repeated: true,
        ..field(number, name, kind)
    }
}
