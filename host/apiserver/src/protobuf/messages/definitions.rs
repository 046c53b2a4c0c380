//! Messages of CustomResourceDefinitions.

use super::meta::OBJECT_META;
use super::{MessageDescriptor, ProtobufType, field, pointer, repeated};

pub(super) static CUSTOM_RESOURCE_DEFINITION: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinition",
    fields: &[
        field(1, "metadata", ProtobufType::Message(&OBJECT_META)),
        field(2, "spec", ProtobufType::Message(&SPEC)),
        field(3, "status", ProtobufType::Message(&STATUS)),
    ],
};

static SPEC: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinitionSpec",
    fields: &[
        field(1, "group", ProtobufType::Text),
        field(3, "names", ProtobufType::Message(&NAMES)),
        field(4, "scope", ProtobufType::Text),
        repeated(7, "versions", ProtobufType::Message(&VERSION)),
        field(9, "conversion", ProtobufType::Message(&CONVERSION)),
        field(10, "preserveUnknownFields", ProtobufType::Bool),
    ],
};

static NAMES: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinitionNames",
    fields: &[
        field(1, "plural", ProtobufType::Text),
        field(2, "singular", ProtobufType::Text),
        repeated(3, "shortNames", ProtobufType::Text),
        field(4, "kind", ProtobufType::Text),
        field(5, "listKind", ProtobufType::Text),
        repeated(6, "categories", ProtobufType::Text),
    ],
};

static VERSION: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinitionVersion",
    fields: &[
        field(1, "name", ProtobufType::Text),
        field(2, "served", ProtobufType::Bool),
        field(3, "storage", ProtobufType::Bool),
        field(7, "deprecated", ProtobufType::Bool),
        pointer(8, "deprecationWarning", ProtobufType::Text),
        field(4, "schema", ProtobufType::Message(&VALIDATION)),
        field(5, "subresources", ProtobufType::Message(&SUBRESOURCES)),
        repeated(
            6,
            "additionalPrinterColumns",
            ProtobufType::Message(&COLUMN),
        ),
        repeated(
            9,
            "selectableFields",
            ProtobufType::Message(&SELECTABLE_FIELD),
        ),
    ],
};

static SELECTABLE_FIELD: MessageDescriptor = MessageDescriptor {
    name: "SelectableField",
    fields: &[field(1, "jsonPath", ProtobufType::Text)],
};

static COLUMN: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceColumnDefinition",
    fields: &[
        field(1, "name", ProtobufType::Text),
        field(2, "type", ProtobufType::Text),
        field(3, "format", ProtobufType::Text),
        field(4, "description", ProtobufType::Text),
        field(5, "priority", ProtobufType::Int32),
        field(6, "jsonPath", ProtobufType::Text),
    ],
};

static SUBRESOURCES: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceSubresources",
    fields: &[
        field(1, "status", ProtobufType::Message(&SUBRESOURCE_STATUS)),
        field(2, "scale", ProtobufType::Message(&SUBRESOURCE_SCALE)),
    ],
};

static SUBRESOURCE_STATUS: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceSubresourceStatus",
    fields: &[],
};

static SUBRESOURCE_SCALE: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceSubresourceScale",
    fields: &[
        field(1, "specReplicasPath", ProtobufType::Text),
        field(2, "statusReplicasPath", ProtobufType::Text),
        pointer(3, "labelSelectorPath", ProtobufType::Text),
    ],
};

static CONVERSION: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceConversion",
    fields: &[
        field(1, "strategy", ProtobufType::Text),
        field(2, "webhook", ProtobufType::Message(&WEBHOOK)),
    ],
};

static WEBHOOK: MessageDescriptor = MessageDescriptor {
    name: "WebhookConversion",
    fields: &[
        field(2, "clientConfig", ProtobufType::Message(&CLIENT_CONFIG)),
        repeated(3, "conversionReviewVersions", ProtobufType::Text),
    ],
};

static CLIENT_CONFIG: MessageDescriptor = MessageDescriptor {
    name: "WebhookClientConfig",
    fields: &[
        pointer(3, "url", ProtobufType::Text),
        field(1, "service", ProtobufType::Message(&SERVICE_REFERENCE)),
        field(2, "caBundle", ProtobufType::Bytes),
    ],
};

static SERVICE_REFERENCE: MessageDescriptor = MessageDescriptor {
    name: "ServiceReference",
    fields: &[
        field(1, "namespace", ProtobufType::Text),
        field(2, "name", ProtobufType::Text),
        pointer(3, "path", ProtobufType::Text),
        pointer(4, "port", ProtobufType::Int32),
    ],
};

static STATUS: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinitionStatus",
    fields: &[
        repeated(1, "conditions", ProtobufType::Message(&CONDITION)),
        field(2, "acceptedNames", ProtobufType::Message(&NAMES)),
        repeated(3, "storedVersions", ProtobufType::Text),
    ],
};

static CONDITION: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceDefinitionCondition",
    fields: &[
        field(1, "type", ProtobufType::Text),
        field(2, "status", ProtobufType::Text),
        field(3, "lastTransitionTime", ProtobufType::Time),
        field(4, "reason", ProtobufType::Text),
        field(5, "message", ProtobufType::Text),
    ],
};

static VALIDATION: MessageDescriptor = MessageDescriptor {
    name: "CustomResourceValidation",
    fields: &[field(
        1,
        "openAPIV3Schema",
        ProtobufType::Message(&JSON_SCHEMA_PROPS),
    )],
};

static JSON_SCHEMA_PROPS: MessageDescriptor = MessageDescriptor {
    name: "JSONSchemaProps",
    fields: &[
        field(1, "id", ProtobufType::Text),
        field(2, "$schema", ProtobufType::Text),
        pointer(3, "$ref", ProtobufType::Text),
        field(4, "description", ProtobufType::Text),
        field(5, "type", ProtobufType::Text),
        field(6, "format", ProtobufType::Text),
        field(7, "title", ProtobufType::Text),
        pointer(8, "default", ProtobufType::Json),
        pointer(9, "maximum", ProtobufType::Double),
        field(10, "exclusiveMaximum", ProtobufType::Bool),
        pointer(11, "minimum", ProtobufType::Double),
        field(12, "exclusiveMinimum", ProtobufType::Bool),
        pointer(13, "maxLength", ProtobufType::Int64),
        pointer(14, "minLength", ProtobufType::Int64),
        field(15, "pattern", ProtobufType::Text),
        pointer(16, "maxItems", ProtobufType::Int64),
        pointer(17, "minItems", ProtobufType::Int64),
        field(18, "uniqueItems", ProtobufType::Bool),
        pointer(19, "multipleOf", ProtobufType::Double),
        repeated(20, "enum", ProtobufType::Json),
        pointer(21, "maxProperties", ProtobufType::Int64),
        pointer(22, "minProperties", ProtobufType::Int64),
        repeated(23, "required", ProtobufType::Text),
        pointer(24, "items", ProtobufType::Choice(&SCHEMA_OR_ARRAY)),
        repeated(25, "allOf", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        repeated(26, "oneOf", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        repeated(27, "anyOf", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        field(28, "not", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        field(
            29,
            "properties",
            ProtobufType::Map(&ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        ),
        pointer(
            30,
            "additionalProperties",
            ProtobufType::Choice(&SCHEMA_OR_BOOL),
        ),
        field(
            31,
            "patternProperties",
            ProtobufType::Map(&ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        ),
        field(
            32,
            "dependencies",
            ProtobufType::Map(&ProtobufType::Choice(&SCHEMA_OR_TEXTS)),
        ),
        pointer(33, "additionalItems", ProtobufType::Choice(&SCHEMA_OR_BOOL)),
        field(
            34,
            "definitions",
            ProtobufType::Map(&ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        ),
        field(35, "externalDocs", ProtobufType::Message(&EXTERNAL_DOCS)),
        pointer(36, "example", ProtobufType::Json),
        field(37, "nullable", ProtobufType::Bool),
        pointer(
            38,
            "x-kubernetes-preserve-unknown-fields",
            ProtobufType::Bool,
        ),
        field(39, "x-kubernetes-embedded-resource", ProtobufType::Bool),
        field(40, "x-kubernetes-int-or-string", ProtobufType::Bool),
        repeated(41, "x-kubernetes-list-map-keys", ProtobufType::Text),
        pointer(42, "x-kubernetes-list-type", ProtobufType::Text),
        pointer(43, "x-kubernetes-map-type", ProtobufType::Text),
        repeated(
            44,
            "x-kubernetes-validations",
            ProtobufType::Message(&VALIDATION_RULE),
        ),
    ],
};

static SCHEMA_OR_ARRAY: MessageDescriptor = MessageDescriptor {
    name: "JSONSchemaPropsOrArray",
    fields: &[
        field(1, "schema", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        repeated(2, "jSONSchemas", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
    ],
};

static SCHEMA_OR_BOOL: MessageDescriptor = MessageDescriptor {
    name: "JSONSchemaPropsOrBool",
    fields: &[
        field(1, "allows", ProtobufType::Bool),
        field(2, "schema", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
    ],
};

static SCHEMA_OR_TEXTS: MessageDescriptor = MessageDescriptor {
    name: "JSONSchemaPropsOrStringArray",
    fields: &[
        field(1, "schema", ProtobufType::Message(&JSON_SCHEMA_PROPS)),
        repeated(2, "property", ProtobufType::Text),
    ],
};

static EXTERNAL_DOCS: MessageDescriptor = MessageDescriptor {
    name: "ExternalDocumentation",
    fields: &[
        field(1, "description", ProtobufType::Text),
        field(2, "url", ProtobufType::Text),
    ],
};

static VALIDATION_RULE: MessageDescriptor = MessageDescriptor {
    name: "ValidationRule",
    fields: &[
        field(1, "rule", ProtobufType::Text),
        field(2, "message", ProtobufType::Text),
        field(3, "messageExpression", ProtobufType::Text),
        pointer(4, "reason", ProtobufType::Text),
        field(5, "fieldPath", ProtobufType::Text),
        pointer(6, "optionalOldSelf", ProtobufType::Bool),
    ],
};
