//! Messages of token and access reviews.

use super::meta::OBJECT_META;
use super::{MessageDescriptor, ProtobufType, field, repeated};

pub(super) static TOKEN_REVIEW: MessageDescriptor = MessageDescriptor {
    name: "TokenReview",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&TOKEN_REVIEW_SPEC)),
        field(3, "status", ProtobufType::Message(&TOKEN_REVIEW_STATUS)),
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
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(
            2,
            "status",
            ProtobufType::Message(&SELF_SUBJECT_REVIEW_STATUS),
        ),
    ],
};

static SELF_SUBJECT_REVIEW_STATUS: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectReviewStatus",
    fields: &[field(1, "userInfo", ProtobufType::Message(&USER_INFO))],
};

static TOKEN_REVIEW_STATUS: MessageDescriptor = MessageDescriptor {
    name: "TokenReviewStatus",
    fields: &[
        field(1, "authenticated", ProtobufType::Bool),
        field(2, "user", ProtobufType::Message(&USER_INFO)),
        repeated(4, "audiences", ProtobufType::Text),
        field(3, "error", ProtobufType::Text),
    ],
};

static USER_INFO: MessageDescriptor = MessageDescriptor {
    name: "UserInfo",
    fields: &[
        field(1, "username", ProtobufType::Text),
        field(2, "uid", ProtobufType::Text),
        repeated(3, "groups", ProtobufType::Text),
        field(
            4,
            "extra",
            ProtobufType::Map(&ProtobufType::List(&EXTRA_VALUE)),
        ),
    ],
};

static ACCESS_STATUS: MessageDescriptor = MessageDescriptor {
    name: "SubjectAccessReviewStatus",
    fields: &[
        field(1, "allowed", ProtobufType::Bool),
        field(4, "denied", ProtobufType::Bool),
        field(2, "reason", ProtobufType::Text),
        field(3, "evaluationError", ProtobufType::Text),
    ],
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
        field(3, "status", ProtobufType::Message(&ACCESS_STATUS)),
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
        field(3, "status", ProtobufType::Message(&ACCESS_STATUS)),
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
        field(3, "status", ProtobufType::Message(&ACCESS_STATUS)),
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
        field(3, "status", ProtobufType::Message(&RULES_STATUS)),
    ],
};

static SELF_SUBJECT_RULES_REVIEW_SPEC: MessageDescriptor = MessageDescriptor {
    name: "SelfSubjectRulesReviewSpec",
    fields: &[field(1, "namespace", ProtobufType::Text)],
};

static RULES_STATUS: MessageDescriptor = MessageDescriptor {
    name: "SubjectRulesReviewStatus",
    fields: &[
        repeated(1, "resourceRules", ProtobufType::Message(&RESOURCE_RULE)),
        repeated(
            2,
            "nonResourceRules",
            ProtobufType::Message(&NON_RESOURCE_RULE),
        ),
        field(3, "incomplete", ProtobufType::Bool),
        field(4, "evaluationError", ProtobufType::Text),
    ],
};

static RESOURCE_RULE: MessageDescriptor = MessageDescriptor {
    name: "ResourceRule",
    fields: &[
        repeated(1, "verbs", ProtobufType::Text),
        repeated(2, "apiGroups", ProtobufType::Text),
        repeated(3, "resources", ProtobufType::Text),
        repeated(4, "resourceNames", ProtobufType::Text),
    ],
};

static NON_RESOURCE_RULE: MessageDescriptor = MessageDescriptor {
    name: "NonResourceRule",
    fields: &[
        repeated(1, "verbs", ProtobufType::Text),
        repeated(2, "nonResourceURLs", ProtobufType::Text),
    ],
};
