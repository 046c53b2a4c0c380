//! Messages of token and access reviews.

use super::meta::OBJECT_META;
use super::{MessageDescriptor, ProtobufType, field, repeated};

pub(super) static TOKEN_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "TokenReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&TOKEN_REVIEW_SPEC)),
    ],
};

static TOKEN_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "TokenReviewSpec",
    fields: &[
        field(1, "token", ProtobufType::Text),
        repeated(2, "audiences", ProtobufType::Text),
    ],
};

pub(super) static SELF_SUBJECT_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectReview",
    fields: &[field(1, "metadata", ProtobufType::Message(&OBJECT_META))],
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectAccessReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            ProtobufType::Message(&SELF_SUBJECT_ACCESS_REVIEW_SPEC),
        ),
    ],
};

static SELF_SUBJECT_ACCESS_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectAccessReviewSpec",
    fields: &[
        field(
            1,
            "resourceAttributes",
            ProtobufType::Message(&RESOURCE_ATTRIBUTES),
        ),
        field(
            2,
            "nonResourceAttributes",
            ProtobufType::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
    ],
};

pub(super) static SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SubjectAccessReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            ProtobufType::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
        ),
    ],
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "LocalSubjectAccessReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            ProtobufType::Message(&SUBJECT_ACCESS_REVIEW_SPEC),
        ),
    ],
};

static SUBJECT_ACCESS_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SubjectAccessReviewSpec",
    fields: &[
        field(
            1,
            "resourceAttributes",
            ProtobufType::Message(&RESOURCE_ATTRIBUTES),
        ),
        field(
            2,
            "nonResourceAttributes",
            ProtobufType::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
        field(3, "user", ProtobufType::Text),
        repeated(4, "groups", ProtobufType::Text),
        field(
            5,
            "extra",
            ProtobufType::Map(&ProtobufType::List(&EXTRA_VALUE)),
        ),
        field(6, "uid", ProtobufType::Text),
    ],
};

static EXTRA_VALUE: MessageDescriptor = MessageDescriptor {
    name: "ExtraValue",
    fields: &[repeated(1, "items", ProtobufType::Text)],
};

static RESOURCE_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "ResourceAttributes",
    fields: &[
        field(1, "namespace", ProtobufType::Text),
        field(2, "verb", ProtobufType::Text),
        field(3, "group", ProtobufType::Text),
        field(4, "version", ProtobufType::Text),
        field(5, "resource", ProtobufType::Text),
        field(6, "subresource", ProtobufType::Text),
        field(7, "name", ProtobufType::Text),
        field(
            8,
            "fieldSelector",
            ProtobufType::Message(&SELECTOR_ATTRIBUTES),
        ),
        field(
            9,
            "labelSelector",
            ProtobufType::Message(&SELECTOR_ATTRIBUTES),
        ),
    ],
};

static SELECTOR_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "SelectorAttributes",
    fields: &[
        field(1, "rawSelector", ProtobufType::Text),
        repeated(
            2,
            "requirements",
            ProtobufType::Message(&SELECTOR_REQUIREMENT),
        ),
    ],
};

static SELECTOR_REQUIREMENT: MessageDescriptor = MessageDescriptor {
    name: "SelectorRequirement",
    fields: &[
        field(1, "key", ProtobufType::Text),
        field(2, "operator", ProtobufType::Text),
        repeated(3, "values", ProtobufType::Text),
    ],
};

static NON_RESOURCE_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "NonResourceAttributes",
    fields: &[
        field(1, "path", ProtobufType::Text),
        field(2, "verb", ProtobufType::Text),
    ],
};

pub(super) static SELF_SUBJECT_RULES_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectRulesReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            ProtobufType::Message(&SELF_SUBJECT_RULES_REVIEW_SPEC),
        ),
    ],
};

static SELF_SUBJECT_RULES_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectRulesReviewSpec",
    fields: &[field(1, "namespace", ProtobufType::Text)],
};
