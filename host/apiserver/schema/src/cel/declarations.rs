//! From schemas to what rules see of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::escape::escape_field_name;
use super::types::{CelType, DeclKind, DeclType};
use crate::node::{self, ListType, SchemaNode};

/// The largest request that is taken, in bytes: bounds every size that a schema leaves open.
pub(super) const MAX_REQUEST_BYTES: u64 = 3 * 1024 * 1024;
/// `""`
const MIN_STRING_BYTES: u64 = 2;
/// `true`
const MIN_BOOL_BYTES: u64 = 4;
/// `0`
const MIN_NUMBER_BYTES: u64 = 1;
/// `[]` and `{}`
const MIN_CONTAINER_BYTES: u64 = 2;
/// `"0"`, and the longest duration.
const DURATION_BYTES: (u64, u64) = (3, 32);
/// A date in quotes, always the same.
const DATE_BYTES: (u64, u64) = (12, 12);
/// The shortest and the longest time in quotes.
const DATE_TIME_BYTES: (u64, u64) = (21, 32);
/// The most bytes of a character.
const MAX_CHARACTER_BYTES: u64 = 4;
/// What an entry of a map takes beside its value: quotes, colon, comma and a short key.
const MAP_ENTRY_BYTES: u64 = 6;
/// What a field of an object takes beside its name and value: quotes, colon and comma.
const FIELD_BYTES: u64 = 4;

fn limit(limit: Option<i64>) -> Option<u64> {
    limit.map(|limit| u64::try_from(limit).unwrap_or(0))
}

fn scalar(kind: CelType, min_serialized: u64, max_size: u64) -> DeclType {
    DeclType {
        kind: DeclKind::Scalar(kind),
        max_elements: max_size,
        min_serialized_size: min_serialized,
    }
}

/// What rules see of a schema; none if they see nothing of it. The root of a `resource` has its metadata's names.
pub(super) fn declare_schema(node: &SchemaNode, resource: bool) -> Option<Arc<DeclType>> {
    let max_length = limit(node.validation.max_length);
    if node.int_or_string {
        let max_size = max_length.map_or(MAX_REQUEST_BYTES - MIN_STRING_BYTES, |length| {
            length.saturating_mul(MAX_CHARACTER_BYTES)
        });
        return Some(Arc::new(scalar(CelType::Dyn, MIN_NUMBER_BYTES, max_size)));
    }
    Some(Arc::new(match node.schema_type? {
        node::SchemaType::Boolean => scalar(CelType::Bool, MIN_BOOL_BYTES, 0),
        node::SchemaType::Number => scalar(CelType::Double, MIN_NUMBER_BYTES, 0),
        node::SchemaType::Integer => scalar(CelType::Int, MIN_NUMBER_BYTES, 0),
        node::SchemaType::String => declare_string(node, max_length),
        node::SchemaType::Array => {
            let item = node.items.as_ref()?;
            let item = declare_schema(item, item.embedded_resource)?;
            let fitting =
                (MAX_REQUEST_BYTES - MIN_CONTAINER_BYTES) / (item.min_serialized_size + 1);
            let max_size = limit(node.validation.max_items).unwrap_or(fitting);
            let unordered = matches!(node.list_type, ListType::Set | ListType::Map(_));
            DeclType {
                kind: DeclKind::List { item, unordered },
                max_elements: max_size,
                min_serialized_size: MIN_CONTAINER_BYTES,
            }
        }
        node::SchemaType::Object => match node.additional_properties.schema() {
            Some(value) => {
                let value = declare_schema(value, value.embedded_resource)?;
                let fitting = (MAX_REQUEST_BYTES - MIN_CONTAINER_BYTES)
                    / (value.min_serialized_size + MAP_ENTRY_BYTES);
                let max_size = limit(node.validation.max_properties).unwrap_or(fitting);
                DeclType {
                    kind: DeclKind::Map(value),
                    max_elements: max_size,
                    min_serialized_size: MIN_CONTAINER_BYTES,
                }
            }
            None => declare_object(node, resource),
        },
    }))
}

fn declare_string(node: &SchemaNode, max_length: Option<u64>) -> DeclType {
    let format = node
        .validation
        .format
        .as_ref()
        .map(|format| format.name.as_str());
    let longest = MAX_REQUEST_BYTES - MIN_STRING_BYTES;
    match format {
        Some("byte") => scalar(
            CelType::Bytes,
            MIN_STRING_BYTES,
            max_length.unwrap_or(longest),
        ),
        Some("duration") => scalar(CelType::Duration, DURATION_BYTES.0, DURATION_BYTES.1),
        Some("date") => scalar(CelType::Timestamp, DATE_BYTES.0, DATE_BYTES.1),
        Some("date-time") => scalar(CelType::Timestamp, DATE_TIME_BYTES.0, DATE_TIME_BYTES.1),
        _ => {
            let allowed = node
                .validation
                .enum_values
                .iter()
                .flatten()
                .filter_map(Value::as_str);
            let longest_allowed = allowed.map(|text| text.len() as u64).max();
            let by_length = max_length.map(|length| length.saturating_mul(MAX_CHARACTER_BYTES));
            let by_enum = node
                .validation
                .enum_values
                .as_ref()
                .map(|_| longest_allowed.unwrap_or(0));
            scalar(
                CelType::String,
                MIN_STRING_BYTES,
                by_length.or(by_enum).unwrap_or(longest),
            )
        }
    }
}

fn declare_object(node: &SchemaNode, resource: bool) -> DeclType {
    let mut fields = BTreeMap::new();
    let mut min_serialized = MIN_CONTAINER_BYTES;
    for (name, property) in &node.properties {
        let Some(decl) = declare_schema(property, property.embedded_resource) else {
            continue;
        };
        if node.validation.required.contains(name) && property.default.is_none() {
            min_serialized += name.len() as u64 + decl.min_serialized_size + FIELD_BYTES;
        }
        if let Some(name) = escape_field_name(name) {
            fields.insert(name, decl);
        }
    }
    if resource {
        let text = || {
            Arc::new(scalar(
                CelType::String,
                MIN_STRING_BYTES,
                MAX_REQUEST_BYTES - MIN_STRING_BYTES,
            ))
        };
        let names = ["name", "generateName"].map(|name| (name.to_owned(), text()));
        let metadata = DeclType {
            kind: DeclKind::Object(names.into()),
            max_elements: 0,
            min_serialized_size: MIN_CONTAINER_BYTES,
        };
        fields.insert("apiVersion".to_owned(), text());
        fields.insert("kind".to_owned(), text());
        fields.insert("metadata".to_owned(), Arc::new(metadata));
    }
    DeclType {
        kind: DeclKind::Object(fields),
        max_elements: 0,
        min_serialized_size: min_serialized,
    }
}
