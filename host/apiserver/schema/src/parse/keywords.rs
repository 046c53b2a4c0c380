//! The keywords of schemas, and pruning of unknown ones.

use serde_json::{Map, Value};

/// What the value of a keyword contains.
enum KeywordContent {
    Plain,
    Schema,
    SchemaList,
    SchemaMap,
    SchemaOrList,
    ExternalDocs,
    Rules,
}

/// The fields of a rule.
const RULE_KEYWORDS: [&str; 6] = [
    "rule",
    "message",
    "messageExpression",
    "reason",
    "fieldPath",
    "optionalOldSelf",
];

fn keyword_content(keyword: &str) -> Option<KeywordContent> {
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
        | "x-kubernetes-map-type" => KeywordContent::Plain,
        "not" | "additionalProperties" | "additionalItems" => KeywordContent::Schema,
        "allOf" | "anyOf" | "oneOf" => KeywordContent::SchemaList,
        "properties" | "patternProperties" | "definitions" | "dependencies" => {
            KeywordContent::SchemaMap
        }
        "items" => KeywordContent::SchemaOrList,
        "externalDocs" => KeywordContent::ExternalDocs,
        "x-kubernetes-validations" => KeywordContent::Rules,
        _ => return None,
    })
}

/// Whether OpenAPI schemas have this keyword, even if it is not supported here.
pub(crate) fn is_known_keyword(keyword: &str) -> bool {
    keyword_content(keyword).is_some()
}

/// Removes unknown keywords, as decoding into upstream's types does; returns their paths
/// (`properties.spec.properties.a.unknown`), sorted.
pub(crate) fn prune_unknown_keywords(schema: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_schema(schema, "", &mut removed);
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

fn prune_schema(schema: &mut Value, path: &str, removed: &mut Vec<String>) {
    let Value::Object(map) = schema else { return };
    map.retain(|keyword, value| {
        let path = join(path, keyword);
        match keyword_content(keyword) {
            None => {
                removed.push(path);
                return false;
            }
            Some(KeywordContent::Plain) => {}
            Some(KeywordContent::Schema) => prune_schema(value, &path, removed),
            Some(KeywordContent::SchemaList) => prune_list(value, &path, removed),
            Some(KeywordContent::SchemaMap) => {
                if let Value::Object(entries) = value {
                    entries
                        .iter_mut()
                        .for_each(|(name, entry)| prune_schema(entry, &join(&path, name), removed));
                }
            }
            Some(KeywordContent::SchemaOrList) if value.is_array() => {
                prune_list(value, &path, removed)
            }
            Some(KeywordContent::SchemaOrList) => prune_schema(value, &path, removed),
            Some(KeywordContent::ExternalDocs) => {
                if let Value::Object(docs) = value {
                    retain_members(docs, &["description", "url"], &path, removed);
                }
            }
            Some(KeywordContent::Rules) => {
                for (index, rule) in value.as_array_mut().into_iter().flatten().enumerate() {
                    if let Value::Object(rule) = rule {
                        retain_members(rule, &RULE_KEYWORDS, &format!("{path}[{index}]"), removed);
                    }
                }
            }
        }
        true
    });
}

fn prune_list(value: &mut Value, path: &str, removed: &mut Vec<String>) {
    for (index, entry) in value.as_array_mut().into_iter().flatten().enumerate() {
        prune_schema(entry, &format!("{path}[{index}]"), removed);
    }
}

fn retain_members(
    map: &mut Map<String, Value>,
    known: &[&str],
    path: &str,
    removed: &mut Vec<String>,
) {
    map.retain(|name, _| {
        let keep = known.contains(&name.as_str());
        if !keep {
            removed.push(join(path, name));
        }
        keep
    });
}
