//! The compiled form of a schema: what the other parts of this room walk.

use std::collections::BTreeMap;

use std::sync::Arc;

use regex::Regex;
use serde_json::{Number, Value};

use crate::cel::Rule;
use crate::formats::Format;

/// How deep schemas and the objects under them may nest. Far above what people write, low enough that recursion
/// never exhausts a thread's stack.
pub(crate) const MAX_DEPTH: usize = 100;

/// The `type` of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

impl Type {
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

/// `additionalProperties`.
#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    /// Not given: unknown fields are pruned.
    #[default]
    Unset,
    /// `true` or `false`.
    Allowed(bool),
    /// A schema for the values.
    Schema(Box<Node>),
}

impl Additional {
    pub(crate) fn schema(&self) -> Option<&Node> {
        match self {
            Self::Schema(node) => Some(node),
            Self::Unset | Self::Allowed(_) => None,
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        !matches!(self, Self::Unset)
    }
}

/// `x-kubernetes-list-type` with its keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ListType {
    /// Not given: treated as one, but entries correlate by index when unchanged values are tolerated.
    #[default]
    Untyped,
    Atomic,
    Set,
    Map(Vec<String>),
}

/// One schema: structure and value validation. Nested schemas (`allOf` and so on) have the same shape and no type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: Option<Type>,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) nullable: bool,
    pub(crate) atomic_map: bool,
    pub(crate) list: ListType,
    pub(crate) default: Option<Value>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) checks: Checks,
    pub(crate) rules: Arc<[Rule]>,
    /// Whether there are rules here or below.
    pub(crate) has_rules: bool,
}

/// The value validation of one schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    pub(crate) format: Option<Format>,
    pub(crate) allowed: Option<Vec<Value>>,
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
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}
