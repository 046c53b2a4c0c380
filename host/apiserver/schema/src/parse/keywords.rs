//! Which keywords a schema may hold.

use serde_json::{Map, Value};

/// What the value of a keyword holds, as far as other schemas are concerned.
enum Holds {
    Plain,
    Schema,
    SchemaList,
    SchemaMap,
    SchemaOrList,
    ExternalDocs,
    Rules,
}

/// The members of a rule.
const RULE_KEYWORDS: [&str; 6] = [
    "rule",
    "message",
    "messageExpression",
    "reason",
    "fieldPath",
    "optionalOldSelf",
];

fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "id"
        | "$schema"
        | "$ref"
        | "description"
        | "type"
        | "format"
        | "title"
        | "default"
        | "maximum"
        | "exclusiveMaximum"
        | "minimum"
        | "exclusiveMinimum"
        | "maxLength"
        | "minLength"
        | "pattern"
        | "maxItems"
        | "minItems"
        | "uniqueItems"
        | "multipleOf"
        | "enum"
        | "maxProperties"
        | "minProperties"
        | "required"
        | "nullable"
        | "example"
        | "x-kubernetes-preserve-unknown-fields"
        | "x-kubernetes-embedded-resource"
        | "x-kubernetes-int-or-string"
        | "x-kubernetes-list-map-keys"
        | "x-kubernetes-list-type"
        | "x-kubernetes-map-type" => Holds::Plain,
        "not" | "additionalProperties" | "additionalItems" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" => Holds::SchemaList,
        "properties" | "patternProperties" | "definitions" | "dependencies" => Holds::SchemaMap,
        "items" => Holds::SchemaOrList,
        "externalDocs" => Holds::ExternalDocs,
        "x-kubernetes-validations" => Holds::Rules,
        _ => return None,
    })
}

/// Whether schemas know the keyword, supported or not.
pub(crate) fn is_known(keyword: &str) -> bool {
    holds(keyword).is_some()
}

/// Removes keywords that no schema has, as decoding into upstream's types does; returns their paths
/// (`properties.spec.properties.a.surprise`), sorted.
pub(crate) fn prune_unknown(schema: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    schema_at(schema, "", &mut removed);
    removed.sort();
    removed
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn schema_at(schema: &mut Value, path: &str, removed: &mut Vec<String>) {
    let Value::Object(map) = schema else { return };
    map.retain(|keyword, value| {
        let path = join(path, keyword);
        match holds(keyword) {
            None => {
                removed.push(path);
                return false;
            }
            Some(Holds::Plain) => {}
            Some(Holds::Schema) => schema_at(value, &path, removed),
            Some(Holds::SchemaList) => list_at(value, &path, removed),
            Some(Holds::SchemaMap) => {
                if let Value::Object(entries) = value {
                    entries
                        .iter_mut()
                        .for_each(|(name, entry)| schema_at(entry, &join(&path, name), removed));
                }
            }
            Some(Holds::SchemaOrList) if value.is_array() => list_at(value, &path, removed),
            Some(Holds::SchemaOrList) => schema_at(value, &path, removed),
            Some(Holds::ExternalDocs) => {
                if let Value::Object(docs) = value {
                    retain(docs, &["description", "url"], &path, removed);
                }
            }
            Some(Holds::Rules) => {
                for (index, rule) in value.as_array_mut().into_iter().flatten().enumerate() {
                    if let Value::Object(rule) = rule {
                        retain(rule, &RULE_KEYWORDS, &format!("{path}[{index}]"), removed);
                    }
                }
            }
        }
        true
    });
}

fn list_at(value: &mut Value, path: &str, removed: &mut Vec<String>) {
    for (index, entry) in value.as_array_mut().into_iter().flatten().enumerate() {
        schema_at(entry, &format!("{path}[{index}]"), removed);
    }
}

fn retain(map: &mut Map<String, Value>, known: &[&str], path: &str, removed: &mut Vec<String>) {
    map.retain(|name, _| {
        let keep = known.contains(&name.as_str());
        if !keep {
            removed.push(join(path, name));
        }
        keep
    });
}
