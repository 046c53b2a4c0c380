//! Redaction of the engine's own JSON documents.

use rdd_sdk::types::{Error, MAX_STRING_BYTES};
use serde_json::Value;

/// The fields of containers and images that contain their environment.
const CONFIG_KEYS: [&str; 2] = ["Config", "ContainerConfig"];

/// Returns the document with the value of each environment variable blanked, or
/// an empty text if the document exceeds the contract's limit.
pub(crate) fn redacted_json(document: &[u8]) -> Result<String, Error> {
    let mut document: Value = serde_json::from_slice(document)
        .map_err(|error| Error::internal(format!("the engine's response is not JSON: {error}")))?;
    for key in CONFIG_KEYS {
        if let Some(environment) = document
            .get_mut(key)
            .and_then(|config| config.get_mut("Env"))
        {
            *environment = redact_values(environment);
        }
    }
    let text = document.to_string();
    Ok(if text.len() <= MAX_STRING_BYTES {
        text
    } else {
        String::new()
    })
}

/// Returns the names of the variables. An entry of another form is removed.
fn redact_values(environment: &Value) -> Value {
    let Some(variables) = environment.as_array() else {
        return Value::Null;
    };
    variables
        .iter()
        .filter_map(|variable| variable.as_str()?.split_once('='))
        .map(|(name, _)| Value::String(format!("{name}=")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_environment_variables_are_blanked() {
        let text = redacted_json(
            br#"{"Id":"x","Config":{"Env":["A=hunter2","B=x=hunter2","hunter2",5],"Cmd":["sh"]},
            "ContainerConfig":{"Env":{"A":"hunter2"}}}"#,
        )
        .unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["Config"]["Env"], serde_json::json!(["A=", "B="]));
        assert_eq!(document["Config"]["Cmd"][0], "sh");
    }

    #[test]
    fn a_document_that_is_too_large_is_left_out() {
        let long = format!(r#"{{"Id":"{}"}}"#, "x".repeat(MAX_STRING_BYTES));
        assert_eq!(redacted_json(long.as_bytes()).unwrap(), "");
        assert!(redacted_json(b"<html>").is_err());
    }
}
