//! The messages that clients send, as Kubernetes numbers their fields.

mod meta;
mod objects;
mod reviews;

use self::meta::DELETE_OPTIONS;
pub(super) use self::meta::ENVELOPE;
use self::objects::{CONFIG_MAP, CORE_EVENT, EVENT, LEASE, NAMESPACE, SECRET, SERVICE_ACCOUNT};
use self::reviews::{
    LOCAL_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW, SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW,
};

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
