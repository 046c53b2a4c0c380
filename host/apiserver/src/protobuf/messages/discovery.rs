//! Messages of the discovery documents.

use super::{MessageDescriptor, ProtobufType, field, repeated};

pub(super) static API_VERSIONS: MessageDescriptor = MessageDescriptor {
    name: "APIVersions",
    fields: &[
        repeated(1, "versions", ProtobufType::Text),
        repeated(
            2,
            "serverAddressByClientCIDRs",
            ProtobufType::Message(&SERVER_ADDRESS),
        ),
    ],
};

static SERVER_ADDRESS: MessageDescriptor = MessageDescriptor {
    name: "ServerAddressByClientCIDR",
    fields: &[
        field(1, "clientCIDR", ProtobufType::Text),
        field(2, "serverAddress", ProtobufType::Text),
    ],
};

pub(super) static API_GROUP_LIST: MessageDescriptor = MessageDescriptor {
    name: "APIGroupList",
    fields: &[repeated(1, "groups", ProtobufType::Message(&API_GROUP))],
};

pub(super) static API_GROUP: MessageDescriptor = MessageDescriptor {
    name: "APIGroup",
    fields: &[
        field(1, "name", ProtobufType::Text),
        repeated(2, "versions", ProtobufType::Message(&GROUP_VERSION)),
        field(3, "preferredVersion", ProtobufType::Message(&GROUP_VERSION)),
        repeated(
            4,
            "serverAddressByClientCIDRs",
            ProtobufType::Message(&SERVER_ADDRESS),
        ),
    ],
};

static GROUP_VERSION: MessageDescriptor = MessageDescriptor {
    name: "GroupVersionForDiscovery",
    fields: &[
        field(1, "groupVersion", ProtobufType::Text),
        field(2, "version", ProtobufType::Text),
    ],
};

pub(super) static API_RESOURCE_LIST: MessageDescriptor = MessageDescriptor {
    name: "APIResourceList",
    fields: &[
        field(1, "groupVersion", ProtobufType::Text),
        repeated(2, "resources", ProtobufType::Message(&API_RESOURCE)),
    ],
};

static API_RESOURCE: MessageDescriptor = MessageDescriptor {
    name: "APIResource",
    fields: &[
        field(1, "name", ProtobufType::Text),
        field(6, "singularName", ProtobufType::Text),
        field(2, "namespaced", ProtobufType::Bool),
        field(8, "group", ProtobufType::Text),
        field(9, "version", ProtobufType::Text),
        field(3, "kind", ProtobufType::Text),
        field(4, "verbs", ProtobufType::List(&VERBS)),
        repeated(5, "shortNames", ProtobufType::Text),
        repeated(7, "categories", ProtobufType::Text),
        field(10, "storageVersionHash", ProtobufType::Text),
    ],
};

static VERBS: MessageDescriptor = MessageDescriptor {
    name: "Verbs",
    fields: &[repeated(1, "items", ProtobufType::Text)],
};
