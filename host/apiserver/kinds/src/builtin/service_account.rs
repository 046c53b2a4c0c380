//! The strategy of ServiceAccounts.

use serde_json::{Map, Value};

/// Keeps only the name of each reference to a secret.
pub(super) fn prepare_create(object: &mut Value) {
    let secrets = object.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        let name = secret.get("name").map(|name| ("name".into(), name.clone()));
        *secret = Value::Object(name.into_iter().collect::<Map<_, _>>());
    }
}

pub(super) fn prepare_update(object: &mut Value, _old: &Value) {
    prepare_create(object);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secret_references_keep_only_their_names() {
        let mut object = json!({"secrets": [{"name": "a", "namespace": "x"}, {"uid": "1"}]});
        prepare_create(&mut object);
        assert_eq!(object, json!({"secrets": [{"name": "a"}, {}]}));
        let mut bare = json!({"metadata": {}});
        prepare_create(&mut bare);
        assert_eq!(bare, json!({"metadata": {}}));
    }
}
