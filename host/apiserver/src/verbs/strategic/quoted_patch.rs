//! A strategic merge patch as messages quote it.

use serde_json::Value;

/// Returns the patch as the messages about its result quote it: what it adds to the
/// document has no nulls, since upstream removes them from the patch itself.
pub(crate) fn quoted_patch(document: &Value, patch: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (document, patch) else {
        return without_nulls(patch);
    };
    let quoted = |(key, value): (&String, &Value)| {
        let value = match old.get(key) {
            Some(old) => quoted_patch(old, value),
            None if value.is_null() => Value::Null,
            None => without_nulls(value),
        };
        (key.clone(), value)
    };
    Value::Object(new.iter().map(quoted).collect())
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quoted_patch_has_the_nulls_that_remove_something() {
        let document = json!({"metadata": {"labels": {"a": "1"}}, "list": [{"name": "a"}]});
        let patch = json!({
            "gone": null,
            "metadata": {"labels": {"a": null}, "annotations": {"a": null, "b": "1"}},
            "list": [{"name": "b", "value": null}],
        });
        let quoted = json!({
            "gone": null,
            "metadata": {"labels": {"a": null}, "annotations": {"b": "1"}},
            "list": [{"name": "b"}],
        });
        assert_eq!(quoted_patch(&document, &patch), quoted);
    }
}
