//! The engine's own JSON, without secrets.

use rdd_sdk::types::{Error, MAX_STRING};
use serde_json::Value;

/// Where containers and images keep their environment.
const CONFIGURATIONS: [&str; 2] = ["Config", "ContainerConfig"];

/// The document with the value of each environment variable blanked; empty
/// when it is too long to cross to the host.
pub(crate) fn raw(document: &[u8]) -> Result<String, Error> {
    let mut document: Value = serde_json::from_slice(document)
        .map_err(|error| Error::internal(format!("the engine answered no JSON: {error}")))?;
    for key in CONFIGURATIONS {
        if let Some(environment) = document
            .get_mut(key)
            .and_then(|config| config.get_mut("Env"))
        {
            *environment = blank(environment);
        }
    }
    let text = document.to_string();
    Ok(if text.len() <= MAX_STRING {
        text
    } else {
        String::new()
    })
}

/// Only the names of variables; nothing of what is in no known form.
fn blank(environment: &Value) -> Value {
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
    fn values_of_the_environment_are_blanked() {
        let text = raw(
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
    fn what_cannot_cross_is_left_out() {
        let long = format!(r#"{{"Id":"{}"}}"#, "x".repeat(MAX_STRING));
        assert_eq!(raw(long.as_bytes()).unwrap(), "");
        assert!(raw(b"<html>").is_err());
    }
}
