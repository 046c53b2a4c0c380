//! Reviews.

use super::meta::OBJECT_META;
use super::{Message, Type, field, repeated};

pub(super) static TOKEN_REVIEW: Message = Message {
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

pub(super) static SELF_SUBJECT_REVIEW: Message = Message {
    name: "SelfSubjectReview",
    fields: &[field(1, "metadata", Type::Message(&OBJECT_META))],
};

pub(super) static SELF_SUBJECT_ACCESS_REVIEW: Message = Message {
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

pub(super) static SUBJECT_ACCESS_REVIEW: Message = Message {
    name: "SubjectAccessReview",
    fields: &[
        field(1, "metadata", Type::Message(&OBJECT_META)),
        field(2, "spec", Type::Message(&SUBJECT_ACCESS_REVIEW_SPEC)),
    ],
};

pub(super) static LOCAL_SUBJECT_ACCESS_REVIEW: Message = Message {
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

pub(super) static SELF_SUBJECT_RULES_REVIEW: Message = Message {
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
