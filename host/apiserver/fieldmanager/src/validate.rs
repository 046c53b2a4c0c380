//! Validation of an applied configuration against the types of its kind.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::go_value::{GoSyntaxValue, GoValue, go_type};
use crate::path::PathElement;
use crate::types::{FieldType, ResolvedAtom, ScalarAtom};

/// Expected types, as messages name them.
const NUMERIC: &str = "numeric (int or float)";
const STRING: &str = "string";

/// Returns everything in an applied configuration that its types do not allow, in upstream's words:
/// undeclared fields, values of the wrong type, list items without keys, and duplicate list items.
pub(crate) fn validate(field_type: &FieldType, applied: &Value) -> Vec<String> {
    let mut out = Vec::new();
    validate_value(field_type, applied, &mut String::new(), &mut out);
    out
}

fn validate_value(field_type: &FieldType, value: &Value, path: &mut String, out: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let mut report_type = |path: &str, expected: &str| {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}: ")
        };
        // Upstream prints the value in a different way for each expected type.
        let found = match expected {
            NUMERIC => go_type(value).to_owned(),
            STRING => format!("&value.valueUnstructured{{Value:{}}}", GoSyntaxValue(value)),
            _ => format!("&{{{}}}", GoValue(value)),
        };
        out.push(format!("{prefix}expected {expected}, got {found}"));
    };
    match (field_type.resolve(Some(value)), value) {
        (ResolvedAtom::Map(map), Value::Object(fields)) => {
            for (name, value) in fields {
                let length = path.len();
                path.push('.');
                path.push_str(name);
                match (map.fields.get(name), &map.additional) {
                    (Some(field_type), _) | (None, Some(field_type)) => {
                        validate_value(field_type, value, path, out);
                    }
                    (None, None) => out.push(format!("{path}: field not declared in schema")),
                }
                path.truncate(length);
            }
        }
        (ResolvedAtom::Map(_), _) => report_type(path, "map"),
        (ResolvedAtom::List(list), Value::Array(items)) => {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let element = if list.is_atomic() {
                    PathElement::Index(i64::try_from(index).unwrap_or(i64::MAX))
                } else {
                    match list.path_element(item) {
                        Ok(element) => element,
                        Err(error) => {
                            out.push(format!("{path}: element {index}: {error}"));
                            return;
                        }
                    }
                };
                let length = path.len();
                path.push_str(&element.to_string());
                validate_value(&list.element, item, path, out);
                path.truncate(length);
                if !list.is_atomic() {
                    let name = element.to_string();
                    if !seen.insert(element) {
                        out.push(format!("{path}: duplicate entries for key {name}"));
                    }
                }
            }
        }
        (ResolvedAtom::List(_), _) => report_type(path, "list"),
        (ResolvedAtom::Scalar(scalar), value) => {
            let (is_valid, expected) = match scalar {
                ScalarAtom::Number => (value.is_number(), NUMERIC),
                ScalarAtom::String => (value.is_string(), STRING),
                ScalarAtom::Bool => (value.is_boolean(), "boolean"),
                ScalarAtom::Any => (!value.is_object() && !value.is_array(), "any scalar"),
            };
            if !is_valid {
                report_type(path, expected);
            }
        }
    }
}
