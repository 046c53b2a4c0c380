//! From schemas to what rules see of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::escape::escape;
use super::types::{Decl, DeclKind, Type};
use crate::node::{self, ListType, Node};

/// The largest request that is taken, in bytes: bounds every size that a schema leaves open.
pub(super) const MAX_REQUEST: u64 = 3 * 1024 * 1024;
/// `""`
const MIN_STRING: u64 = 2;
/// `true`
const MIN_BOOL: u64 = 4;
/// `0`
const MIN_NUMBER: u64 = 1;
/// `[]` and `{}`
const MIN_CONTAINER: u64 = 2;
/// `"0"`, and the longest duration.
const DURATION: (u64, u64) = (3, 32);
/// A date in quotes, always the same.
const DATE: (u64, u64) = (12, 12);
/// The shortest and the longest time in quotes.
const DATE_TIME: (u64, u64) = (21, 32);
/// The most bytes of a character.
const MAX_CHARACTER: u64 = 4;
/// What an entry of a map takes beside its value: quotes, colon, comma and a short key.
const MAP_ENTRY: u64 = 6;
/// What a field of an object takes beside its name and value: quotes, colon and comma.
const FIELD: u64 = 4;

fn limit(limit: Option<i64>) -> Option<u64> {
    limit.map(|limit| u64::try_from(limit).unwrap_or(0))
}

fn scalar(kind: Type, min_serialized: u64, max_size: u64) -> Decl {
    Decl {
        kind: DeclKind::Scalar(kind),
        max_size,
        min_serialized,
    }
}

/// What rules see of a schema; none if they see nothing of it. The root of a `resource` has its metadata's names.
pub(super) fn declare(node: &Node, resource: bool) -> Option<Arc<Decl>> {
    let max_length = limit(node.checks.max_length);
    if node.int_or_string {
        let max_size = max_length.map_or(MAX_REQUEST - MIN_STRING, |length| {
            length.saturating_mul(MAX_CHARACTER)
        });
        return Some(Arc::new(scalar(Type::Dyn, MIN_NUMBER, max_size)));
    }
    Some(Arc::new(match node.kind? {
        node::Type::Boolean => scalar(Type::Bool, MIN_BOOL, 0),
        node::Type::Number => scalar(Type::Double, MIN_NUMBER, 0),
        node::Type::Integer => scalar(Type::Int, MIN_NUMBER, 0),
        node::Type::String => string(node, max_length),
        node::Type::Array => {
            let item = node.items.as_ref()?;
            let item = declare(item, item.embedded)?;
            let fitting = (MAX_REQUEST - MIN_CONTAINER) / (item.min_serialized + 1);
            let max_size = limit(node.checks.max_items).unwrap_or(fitting);
            let unordered = matches!(node.list, ListType::Set | ListType::Map(_));
            Decl {
                kind: DeclKind::List { item, unordered },
                max_size,
                min_serialized: MIN_CONTAINER,
            }
        }
        node::Type::Object => match node.additional.schema() {
            Some(value) => {
                let value = declare(value, value.embedded)?;
                let fitting = (MAX_REQUEST - MIN_CONTAINER) / (value.min_serialized + MAP_ENTRY);
                let max_size = limit(node.checks.max_properties).unwrap_or(fitting);
                Decl {
                    kind: DeclKind::Map(value),
                    max_size,
                    min_serialized: MIN_CONTAINER,
                }
            }
            None => object(node, resource),
        },
    }))
}

fn string(node: &Node, max_length: Option<u64>) -> Decl {
    let format = node
        .checks
        .format
        .as_ref()
        .map(|format| format.name.as_str());
    let longest = MAX_REQUEST - MIN_STRING;
    match format {
        Some("byte") => scalar(Type::Bytes, MIN_STRING, max_length.unwrap_or(longest)),
        Some("duration") => scalar(Type::Duration, DURATION.0, DURATION.1),
        Some("date") => scalar(Type::Timestamp, DATE.0, DATE.1),
        Some("date-time") => scalar(Type::Timestamp, DATE_TIME.0, DATE_TIME.1),
        _ => {
            let allowed = node
                .checks
                .allowed
                .iter()
                .flatten()
                .filter_map(Value::as_str);
            let longest_allowed = allowed.map(|text| text.len() as u64).max();
            let by_length = max_length.map(|length| length.saturating_mul(MAX_CHARACTER));
            let by_enum = node
                .checks
                .allowed
                .as_ref()
                .map(|_| longest_allowed.unwrap_or(0));
            scalar(
                Type::String,
                MIN_STRING,
                by_length.or(by_enum).unwrap_or(longest),
            )
        }
    }
}

fn object(node: &Node, resource: bool) -> Decl {
    let mut fields = BTreeMap::new();
    let mut min_serialized = MIN_CONTAINER;
    for (name, property) in &node.properties {
        let Some(decl) = declare(property, property.embedded) else {
            continue;
        };
        if node.checks.required.contains(name) && property.default.is_none() {
            min_serialized += name.len() as u64 + decl.min_serialized + FIELD;
        }
        if let Some(name) = escape(name) {
            fields.insert(name, decl);
        }
    }
    if resource {
        let text = || Arc::new(scalar(Type::String, MIN_STRING, MAX_REQUEST - MIN_STRING));
        let names = ["name", "generateName"].map(|name| (name.to_owned(), text()));
        let metadata = Decl {
            kind: DeclKind::Object(names.into()),
            max_size: 0,
            min_serialized: MIN_CONTAINER,
        };
        fields.insert("apiVersion".to_owned(), text());
        fields.insert("kind".to_owned(), text());
        fields.insert("metadata".to_owned(), Arc::new(metadata));
    }
    Decl {
        kind: DeclKind::Object(fields),
        max_size: 0,
        min_serialized,
    }
}
