//! Messages of roles and of their bindings.

use super::meta::OBJECT_META;
use super::{MessageDescriptor, ProtobufType, field, repeated};

pub(super) static ROLE: MessageDescriptor = MessageDescriptor {
    name: "Role",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        repeated(2, "rules", ProtobufType::Message(&POLICY_RULE)),
    ],
};

pub(super) static CLUSTER_ROLE: MessageDescriptor = MessageDescriptor {
    name: "ClusterRole",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        repeated(2, "rules", ProtobufType::Message(&POLICY_RULE)),
        field(
            3,
            "aggregationRule",
            ProtobufType::Message(&AGGREGATION_RULE),
        ),
    ],
};

pub(super) static ROLE_BINDING: MessageDescriptor = MessageDescriptor {
    name: "RoleBinding",
    fields: &BINDING_FIELDS,
};

pub(super) static CLUSTER_ROLE_BINDING: MessageDescriptor = MessageDescriptor {
    name: "ClusterRoleBinding",
    fields: &BINDING_FIELDS,
};

static BINDING_FIELDS: [super::FieldDescriptor; 3] = [
    field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
    repeated(2, "subjects", ProtobufType::Message(&SUBJECT)),
    field(3, "roleRef", ProtobufType::Message(&ROLE_REF)),
];

static POLICY_RULE: MessageDescriptor = MessageDescriptor {
    name: "PolicyRule",
    fields: &[
        repeated(1, "verbs", ProtobufType::Text),
        repeated(2, "apiGroups", ProtobufType::Text),
        repeated(3, "resources", ProtobufType::Text),
        repeated(4, "resourceNames", ProtobufType::Text),
        repeated(5, "nonResourceURLs", ProtobufType::Text),
    ],
};

static SUBJECT: MessageDescriptor = MessageDescriptor {
    name: "Subject",
    fields: &[
        field(1, "kind", ProtobufType::Text),
        field(2, "apiGroup", ProtobufType::Text),
        field(3, "name", ProtobufType::Text),
        field(4, "namespace", ProtobufType::Text),
    ],
};

static ROLE_REF: MessageDescriptor = MessageDescriptor {
    name: "RoleRef",
    fields: &[
        field(1, "apiGroup", ProtobufType::Text),
        field(2, "kind", ProtobufType::Text),
        field(3, "name", ProtobufType::Text),
    ],
};

static AGGREGATION_RULE: MessageDescriptor = MessageDescriptor {
    name: "AggregationRule",
    fields: &[repeated(
        1,
        "clusterRoleSelectors",
        ProtobufType::Message(&LABEL_SELECTOR),
    )],
};

static LABEL_SELECTOR: MessageDescriptor = MessageDescriptor {
    name: "LabelSelector",
    fields: &[
        field(1, "matchLabels", ProtobufType::Map(&ProtobufType::Text)),
        repeated(
            2,
            "matchExpressions",
            ProtobufType::Message(&LABEL_SELECTOR_REQUIREMENT),
        ),
    ],
};

static LABEL_SELECTOR_REQUIREMENT: MessageDescriptor = MessageDescriptor {
    name: "LabelSelectorRequirement",
    fields: &[
        field(1, "key", ProtobufType::Text),
        field(2, "operator", ProtobufType::Text),
        repeated(3, "values", ProtobufType::Text),
    ],
};
