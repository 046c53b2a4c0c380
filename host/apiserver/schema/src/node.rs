//! The compiled form of a schema: upstream's `Structural`.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Number, Value};

use crate::compiled_rule::CompiledRule;
use crate::formats::StringFormat;

/// The maximum nesting depth of schemas, and of objects as far as their schemas describe them: far above what people
/// write, and low enough that recursion does not overflow a thread's stack.
pub(crate) const MAX_SCHEMA_DEPTH: usize = 100;

/// The `type` of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaType {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

impl SchemaType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }
}

/// The value of `additionalProperties`: upstream's `StructuralOrBool`.
#[derive(Clone, Debug, Default)]
pub(crate) enum AdditionalProperties {
    /// Absent: unknown fields are pruned.
    #[default]
    Unset,
    /// `true` or `false`.
    Allowed(bool),
    /// The schema of the values.
    Schema(Box<SchemaNode>),
}

impl AdditionalProperties {
    pub(crate) fn schema(&self) -> Option<&SchemaNode> {
        match self {
            Self::Schema(node) => Some(node),
            Self::Unset | Self::Allowed(_) => None,
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        !matches!(self, Self::Unset)
    }
}

/// The value of `x-kubernetes-list-type`, with the keys of map lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ListType {
    /// Absent: an atomic list, but items correlate with old items by index for ratcheting.
    #[default]
    Untyped,
    Atomic,
    Set,
    Map(Vec<String>),
}

/// One schema: its structure and its value validation. Schemas that are nested in value validation (`allOf`, `not`, …)
/// have no type.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaNode {
    pub(crate) schema_type: Option<SchemaType>,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown_fields: bool,
    pub(crate) embedded_resource: bool,
    pub(crate) nullable: bool,
    pub(crate) atomic_map: bool,
    pub(crate) list_type: ListType,
    pub(crate) default: Option<Value>,
    pub(crate) properties: BTreeMap<String, SchemaNode>,
    pub(crate) additional_properties: AdditionalProperties,
    pub(crate) items: Option<Box<SchemaNode>>,
    pub(crate) validation: ValueValidation,
    pub(crate) rules: Arc<[CompiledRule]>,
    /// Whether this schema or one of its descendants has rules.
    pub(crate) has_rules: bool,
}

/// The value validation of one schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueValidation {
    pub(crate) format: Option<StringFormat>,
    pub(crate) enum_values: Option<Vec<Value>>,
    pub(crate) maximum: Option<Number>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) minimum: Option<Number>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) multiple_of: Option<Number>,
    pub(crate) max_length: Option<i64>,
    pub(crate) min_length: Option<i64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) max_items: Option<i64>,
    pub(crate) min_items: Option<i64>,
    pub(crate) max_properties: Option<i64>,
    pub(crate) min_properties: Option<i64>,
    pub(crate) required: Vec<String>,
    pub(crate) all_of: Vec<SchemaNode>,
    pub(crate) any_of: Vec<SchemaNode>,
    pub(crate) one_of: Vec<SchemaNode>,
    pub(crate) not: Option<Box<SchemaNode>>,
}
