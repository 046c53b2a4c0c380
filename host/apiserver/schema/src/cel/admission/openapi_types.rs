//! The types of values that OpenAPI schemas describe, for type checking.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::escape::escape_field_name;
use super::super::types::{CelType, DeclType};
use super::variable_types::{list, map, object, scalar};

/// Declares the values of a schema without references. What the schema does not restrict is `dyn`.
pub(super) fn declare(schema: &Json) -> Arc<DeclType> {
    let is_set = |keyword: &str| schema[keyword] == true;
    if is_set("x-kubernetes-int-or-string") || is_set("x-kubernetes-preserve-unknown-fields") {
        return scalar(CelType::Dyn);
    }
    match schema["type"].as_str() {
        Some("array") => list(declare(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            map(declare(&schema["additionalProperties"]))
        }
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields: BTreeMap<String, Arc<DeclType>> = properties
                .filter_map(|(name, property)| Some((escape_field_name(name)?, declare(property))))
                .collect();
            object(fields)
        }
        Some("boolean") => scalar(CelType::Bool),
        Some("integer") => scalar(CelType::Int),
        Some("number") => scalar(CelType::Double),
        Some("string") => scalar(match schema["format"].as_str() {
            Some("byte") => CelType::Bytes,
            Some("date" | "date-time") => CelType::Timestamp,
            Some("duration") => CelType::Duration,
            _ => CelType::String,
        }),
        _ => scalar(CelType::Dyn),
    }
}
