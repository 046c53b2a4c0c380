//! The strategy of Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdd_apiserver_schema::FieldError;
use serde_json::Value;

use super::config_map::{MAX_DATA_BYTES, decoded_bytes, entries, validate_immutable};
use super::field_errors::{IMMUTABLE, invalid, invalid_for_each, required, too_long};
use super::{object_field_mut, string_or_empty};
use crate::go_json;
use rdd_apiserver_schema::names;

const OPAQUE: &str = "Opaque";
const TLS: &str = "kubernetes.io/tls";
/// Replaces a secret's content in messages.
const REDACTED: &str = "<secret contents redacted>";
const PEM: &str = "-----BEGIN ";

/// Moves the entries of the write-only `stringData` to `data`, where they replace
/// those with the same key.
fn merge_string_data(object: &mut Value) {
    let plain = object
        .as_object_mut()
        .and_then(|object| object.remove("stringData"));
    if let Some(Value::Object(plain)) = plain
        && let Some(data) = object_field_mut(object, "data")
    {
        for (key, value) in plain {
            let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
            data.insert(key, encoded.into());
        }
    }
}

pub(super) fn prepare_create(object: &mut Value) {
    merge_string_data(object);
    if let Some(object) = object.as_object_mut() {
        let kind = object.entry("type").or_insert(Value::Null);
        if kind.as_str().is_none_or(str::is_empty) {
            *kind = OPAQUE.into();
        }
    }
}

pub(super) fn prepare_update(object: &mut Value, _old: &Value) {
    prepare_create(object);
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in entries(&object["data"]) {
        errors.extend(invalid_for_each(
            &format!("data[{key}]"),
            key,
            names::validate_config_key(key),
        ));
        size += decoded_bytes(value);
    }
    if size > MAX_DATA_BYTES {
        errors.push(too_long("data", MAX_DATA_BYTES));
    }
    errors.extend(validate_type(object));
    errors
}

/// Validates the keys that well-known types require.
fn validate_type(object: &Value) -> Vec<FieldError> {
    let data = &object["data"];
    let missing = |key: &str| data.get(key).is_none();
    let missing_key = |key: &str| required(format!("data[{key}]"), "");
    match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            let account = object["metadata"]["annotations"][ACCOUNT]
                .as_str()
                .unwrap_or_default();
            if account.is_empty() {
                return vec![required(format!("metadata.annotations[{ACCOUNT}]"), "")];
            }
            Vec::new()
        }
        "kubernetes.io/dockercfg" => docker_config(data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => docker_config(data, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if missing("username") && missing("password") => {
            vec![missing_key("username"), missing_key("password")]
        }
        "kubernetes.io/ssh-auth" => {
            let key = data["ssh-privatekey"].as_str().unwrap_or_default();
            if key.is_empty() {
                vec![missing_key("ssh-privatekey")]
            } else {
                Vec::new()
            }
        }
        TLS => ["tls.crt", "tls.key"]
            .into_iter()
            .filter(|key| missing(key))
            .map(missing_key)
            .collect(),
        _ => Vec::new(),
    }
}

/// Validates that registry credentials are a JSON object.
fn docker_config(data: &Value, key: &str) -> Vec<FieldError> {
    let field = format!("data[{key}]");
    let Some(encoded) = data.get(key) else {
        return vec![required(field, "")];
    };
    let content = STANDARD
        .decode(string_or_empty(encoded))
        .unwrap_or_default();
    let detail = match serde_json::from_slice::<Value>(&content) {
        Ok(Value::Object(_) | Value::Null) => return Vec::new(),
        Ok(other) => go_json::cannot_unmarshal(&other, "map[string]interface {}"),
        // The parser's message may quote the content, Go's a single character.
        Err(_) => go_json::syntax_error(&content)
            .unwrap_or_else(|| "the document exceeds a limit".to_owned()),
    };
    vec![invalid(field, REDACTED, &detail)]
}

pub(super) fn validate_update(object: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if object["type"] != old["type"] {
        errors.push(invalid("type", string_or_empty(&object["type"]), IMMUTABLE));
    }
    errors.extend(validate_immutable(object, old, &["data"]));
    errors.extend(validate(object));
    errors
}

/// Returns a warning if the certificate or the key of a TLS secret is not PEM.
pub(super) fn warnings(object: &Value) -> Vec<String> {
    if object["type"] != TLS {
        return Vec::new();
    }
    let without_pem = |key: &str| {
        let content = STANDARD
            .decode(string_or_empty(&object["data"][key]))
            .unwrap_or_default();
        !String::from_utf8_lossy(&content).contains(PEM)
    };
    [("tls.crt", "certificate"), ("tls.key", "key")]
        .into_iter()
        .filter(|(key, _)| without_pem(key))
        .map(|(_, what)| format!("tls: failed to find any PEM data in {what} input"))
        .take(1)
        .collect()
}

pub(super) fn field(label: &str, object: &Value) -> Option<String> {
    (label == "type").then(|| string_or_empty(&object["type"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(errors: Vec<FieldError>) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn string_data_is_merged_into_data_and_the_type_has_a_default() {
        let mut object = json!({"data": {"a": "AA==", "b": "AQ=="}, "stringData": {"b": "ü"}});
        prepare_create(&mut object);
        assert_eq!(
            object,
            json!({"type": "Opaque", "data": {"a": "AA==", "b": "w7w="}})
        );
    }

    #[test]
    fn well_known_types_require_their_keys() {
        for (kind, data, expected) in [
            (
                "kubernetes.io/tls",
                json!({"tls.crt": ""}),
                &["data[tls.key]: Required value"][..],
            ),
            (
                "kubernetes.io/basic-auth",
                json!({}),
                &[
                    "data[username]: Required value",
                    "data[password]: Required value",
                ],
            ),
            ("kubernetes.io/basic-auth", json!({"password": ""}), &[]),
            (
                "kubernetes.io/ssh-auth",
                json!({"ssh-privatekey": ""}),
                &["data[ssh-privatekey]: Required value"],
            ),
            (
                "kubernetes.io/dockercfg",
                json!({}),
                &["data[.dockercfg]: Required value"],
            ),
            (
                "kubernetes.io/dockerconfigjson",
                json!({".dockerconfigjson": "e30="}),
                &[],
            ),
            (
                "kubernetes.io/service-account-token",
                json!({}),
                &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
            ),
            ("example.com/mine", json!({}), &[]),
        ] {
            assert_eq!(
                texts(validate(&json!({"type": kind, "data": data}))),
                expected,
                "{kind}"
            );
        }
    }

    #[test]
    fn an_error_about_registry_credentials_does_not_contain_them() {
        let data = STANDARD.encode("{\"hunter2");
        let errors = texts(validate(
            &json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}}),
        ));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with(
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\""
            )
        );
        assert!(!errors[0].contains("hunter2"), "{}", errors[0]);
    }

    #[test]
    fn the_type_is_immutable() {
        let errors = validate_update(&json!({"type": "a/b"}), &json!({"type": "Opaque"}));
        assert_eq!(
            texts(errors),
            ["type: Invalid value: \"a/b\": field is immutable"]
        );
    }

    #[test]
    fn a_tls_secret_without_pem_data_causes_a_warning() {
        let pem = STANDARD.encode("-----BEGIN X-----\n-----END X-----\n");
        let warnings_of = |data: Value| warnings(&json!({"type": TLS, "data": data}));
        assert_eq!(
            warnings_of(json!({"tls.crt": pem, "tls.key": pem})),
            Vec::<String>::new()
        );
        assert_eq!(
            warnings_of(json!({"tls.crt": "", "tls.key": ""})),
            ["tls: failed to find any PEM data in certificate input"]
        );
        assert_eq!(
            warnings_of(json!({"tls.crt": pem, "tls.key": ""})),
            ["tls: failed to find any PEM data in key input"]
        );
    }
}
