//! Declares the types of schemas in CEL.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::cel::{CelType, DeclKind, DeclType, escape_field_name};
use crate::node::{self, ListType, SchemaNode};

/// The maximum size of a request, in bytes: the upper bound of every size that a schema does not limit.
pub(super) const MAX_REQUEST_BYTES: u64 = 3 * 1024 * 1024;
/// The fewest bytes of a string: `""`.
const MIN_STRING_BYTES: u64 = 2;
/// The fewest bytes of a Boolean: `true`.
const MIN_BOOL_BYTES: u64 = 4;
/// The fewest bytes of a number: `0`.
const MIN_NUMBER_BYTES: u64 = 1;
/// The fewest bytes of a list or an object: `[]` and `{}`.
const MIN_CONTAINER_BYTES: u64 = 2;
/// The fewest and the most bytes of a duration: `"0"` and upstream's maximum.
const DURATION_BYTES: (u64, u64) = (3, 32);
/// The fewest and the most bytes of a date with its quotes: all dates have one length.
const DATE_BYTES: (u64, u64) = (12, 12);
/// The fewest and the most bytes of a time with its quotes.
const DATE_TIME_BYTES: (u64, u64) = (21, 32);
/// The most bytes of a character in UTF-8.
const MAX_CHARACTER_BYTES: u64 = 4;
/// The bytes of an entry of a map besides its value: quotes, colon, comma, and a short key.
const MAP_ENTRY_BYTES: u64 = 6;
/// The bytes of a field of an object besides its name and value: quotes, colon, and comma.
const FIELD_BYTES: u64 = 4;

/// Converts a limit of a schema; a negative one counts as zero.
fn limit(limit: Option<i64>) -> Option<u64> {
    limit.map(|limit| u64::try_from(limit).unwrap_or(0))
}

fn scalar(ty: CelType, min_serialized_size: u64, max_elements: u64) -> DeclType {
    DeclType {
        kind: DeclKind::Scalar(ty),
        max_elements,
        min_serialized_size,
    }
}

/// Declares the type of a schema; returns `None` if rules cannot access its values. The root of a resource also has
/// `apiVersion`, `kind`, and the names in its metadata.
pub(crate) fn declare_schema(node: &SchemaNode, is_resource: bool) -> Option<Arc<DeclType>> {
    let max_length = limit(node.validation.max_length);
    if node.int_or_string {
        let max_elements = max_length.map_or(MAX_REQUEST_BYTES - MIN_STRING_BYTES, |length| {
            length.saturating_mul(MAX_CHARACTER_BYTES)
        });
        return Some(Arc::new(scalar(
            CelType::Dyn,
            MIN_NUMBER_BYTES,
            max_elements,
        )));
    }
    Some(Arc::new(match node.schema_type? {
        node::SchemaType::Boolean => scalar(CelType::Bool, MIN_BOOL_BYTES, 0),
        node::SchemaType::Number => scalar(CelType::Double, MIN_NUMBER_BYTES, 0),
        node::SchemaType::Integer => scalar(CelType::Int, MIN_NUMBER_BYTES, 0),
        node::SchemaType::String => declare_string(node, max_length),
        node::SchemaType::Array => {
            let item = node.items.as_ref()?;
            let item = declare_schema(item, item.embedded_resource)?;
            let max_fitting =
                (MAX_REQUEST_BYTES - MIN_CONTAINER_BYTES) / (item.min_serialized_size + 1);
            let max_elements = limit(node.validation.max_items).unwrap_or(max_fitting);
            let unordered = matches!(node.list_type, ListType::Set | ListType::Map(_));
            DeclType {
                kind: DeclKind::List { item, unordered },
                max_elements,
                min_serialized_size: MIN_CONTAINER_BYTES,
            }
        }
        node::SchemaType::Object => match node.additional_properties.schema() {
            Some(value) => {
                let value = declare_schema(value, value.embedded_resource)?;
                let max_fitting = (MAX_REQUEST_BYTES - MIN_CONTAINER_BYTES)
                    / (value.min_serialized_size + MAP_ENTRY_BYTES);
                let max_elements = limit(node.validation.max_properties).unwrap_or(max_fitting);
                DeclType {
                    kind: DeclKind::Map(value),
                    max_elements,
                    min_serialized_size: MIN_CONTAINER_BYTES,
                }
            }
            None => declare_object(node, is_resource),
        },
    }))
}

fn declare_string(node: &SchemaNode, max_length: Option<u64>) -> DeclType {
    let format = node
        .validation
        .format
        .as_ref()
        .map(|format| format.name.as_str());
    let max_unbounded = MAX_REQUEST_BYTES - MIN_STRING_BYTES;
    match format {
        Some("byte") => scalar(
            CelType::Bytes,
            MIN_STRING_BYTES,
            max_length.unwrap_or(max_unbounded),
        ),
        Some("duration") => scalar(CelType::Duration, DURATION_BYTES.0, DURATION_BYTES.1),
        Some("date") => scalar(CelType::Timestamp, DATE_BYTES.0, DATE_BYTES.1),
        Some("date-time") => scalar(CelType::Timestamp, DATE_TIME_BYTES.0, DATE_TIME_BYTES.1),
        _ => {
            let strings = node
                .validation
                .enum_values
                .iter()
                .flatten()
                .filter_map(Value::as_str);
            let longest = strings.map(|text| text.len() as u64).max();
            let max_by_length = max_length.map(|length| length.saturating_mul(MAX_CHARACTER_BYTES));
            let max_by_enum = node
                .validation
                .enum_values
                .as_ref()
                .map(|_| longest.unwrap_or(0));
            scalar(
                CelType::String,
                MIN_STRING_BYTES,
                max_by_length.or(max_by_enum).unwrap_or(max_unbounded),
            )
        }
    }
}

fn declare_object(node: &SchemaNode, is_resource: bool) -> DeclType {
    let mut fields = BTreeMap::new();
    let mut min_serialized_size = MIN_CONTAINER_BYTES;
    for (name, property) in &node.properties {
        let Some(decl) = declare_schema(property, property.embedded_resource) else {
            continue;
        };
        if node.validation.required.contains(name) && property.default.is_none() {
            min_serialized_size += name.len() as u64 + decl.min_serialized_size + FIELD_BYTES;
        }
        if let Some(name) = escape_field_name(name) {
            fields.insert(name, decl);
        }
    }
    if is_resource {
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
        min_serialized_size,
    }
}
