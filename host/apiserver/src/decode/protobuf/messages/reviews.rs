//! Messages of token and access reviews.

use super::meta::OBJECT_META;
use super::{FieldType, MessageDescriptor, field, repeated};

pub(super) static TOKEN_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "TokenReview",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "spec", FieldType::Message(&TOKEN_REVIEW_SPEC)),
    ],
};

static TOKEN_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "TokenReviewSpec",
    fields: &[
        field(1, "token", FieldType::Text),
        repeated(2, "audiences", FieldType::Text),
    ],
};

pub(super) static SELF_SUBJECT_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectReview",
    fields: &[field(1, "metadata", FieldType::Message(&OBJECT_META))],
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectAccessReview",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            FieldType::Message(&SELF_SUBJECT_ACCESS_REVIEW_SPEC),
        ),
    ],
};

static SELF_SUBJECT_ACCESS_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectAccessReviewSpec",
    fields: &[
        field(
            1,
            "resourceAttributes",
            FieldType::Message(&RESOURCE_ATTRIBUTES),
        ),
        field(
            2,
            "nonResourceAttributes",
            FieldType::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
    ],
};

pub(super) static SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SubjectAccessReview",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "spec", FieldType::Message(&SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "LocalSubjectAccessReview",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(2, "spec", FieldType::Message(&SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

static SUBJECT_ACCESS_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SubjectAccessReviewSpec",
    fields: &[
        field(
            1,
            "resourceAttributes",
            FieldType::Message(&RESOURCE_ATTRIBUTES),
        ),
        field(
            2,
            "nonResourceAttributes",
            FieldType::Message(&NON_RESOURCE_ATTRIBUTES),
        ),
        field(3, "user", FieldType::Text),
        repeated(4, "groups", FieldType::Text),
        field(5, "extra", FieldType::Map(&FieldType::List(&EXTRA_VALUE))),
        field(6, "uid", FieldType::Text),
    ],
};

static EXTRA_VALUE: MessageDescriptor = MessageDescriptor {
    name: "ExtraValue",
    fields: &[repeated(1, "items", FieldType::Text)],
};

static RESOURCE_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "ResourceAttributes",
    fields: &[
        field(1, "namespace", FieldType::Text),
        field(2, "verb", FieldType::Text),
        field(3, "group", FieldType::Text),
        field(4, "version", FieldType::Text),
        field(5, "resource", FieldType::Text),
        field(6, "subresource", FieldType::Text),
        field(7, "name", FieldType::Text),
        field(8, "fieldSelector", FieldType::Message(&SELECTOR_ATTRIBUTES)),
        field(9, "labelSelector", FieldType::Message(&SELECTOR_ATTRIBUTES)),
    ],
};

static SELECTOR_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "SelectorAttributes",
    fields: &[
        field(1, "rawSelector", FieldType::Text),
        repeated(2, "requirements", FieldType::Message(&SELECTOR_REQUIREMENT)),
    ],
};

static SELECTOR_REQUIREMENT: MessageDescriptor = MessageDescriptor {
    name: "SelectorRequirement",
    fields: &[
        field(1, "key", FieldType::Text),
        field(2, "operator", FieldType::Text),
        repeated(3, "values", FieldType::Text),
    ],
};

static NON_RESOURCE_ATTRIBUTES: MessageDescriptor = MessageDescriptor {
    name: "NonResourceAttributes",
    fields: &[
        field(1, "path", FieldType::Text),
        field(2, "verb", FieldType::Text),
    ],
};

pub(super) static SELF_SUBJECT_RULES_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectRulesReview",
    fields: &[
        field(1, "metadata", FieldType::Message(&OBJECT_META)),
        field(
            2,
            "spec",
            FieldType::Message(&SELF_SUBJECT_RULES_REVIEW_SPEC),
        ),
    ],
};

static SELF_SUBJECT_RULES_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectRulesReviewSpec",
    fields: &[field(1, "namespace", FieldType::Text)],
};
