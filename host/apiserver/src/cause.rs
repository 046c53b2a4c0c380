//! What exactly is wrong: one cause for each field at fault.

use serde_json::{Map, Value, json};

/// One cause of an invalid object: the field at fault and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCause {
    /// Machine-readable reason, such as `FieldValueInvalid`.
    pub reason: String,
    /// Human text, without the field's path.
    pub message: String,
    /// Path of the field, such as `spec.size`; empty when no field is at fault.
    pub field: String,
}

impl StatusCause {
    /// A cause with the given reason, path and text.
    pub fn new(
        reason: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason: reason.into(),
            field: field.into(),
            message: message.into(),
        }
    }

    /// `FieldValueInvalid` with the offending value quoted as JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {}: {detail}", quoted(value)),
        )
    }

    /// `FieldValueRequired`.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self::new("FieldValueRequired", field, message)
    }

    /// `FieldValueForbidden`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }
}

impl From<&rdd_apiserver_schema::FieldError> for StatusCause {
    fn from(error: &rdd_apiserver_schema::FieldError) -> Self {
        Self::new(error.kind.reason(), error.field.clone(), error.message())
    }
}

/// The value as the real server prints it in messages: strings quoted,
/// everything else as JSON.
pub(crate) fn quoted(value: &Value) -> String {
    value.to_string()
}

impl StatusCause {
    /// As it stands in the details of a Status.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !text.is_empty() {
                out.insert(key.to_owned(), json!(text));
            }
        }
        Value::Object(out)
    }
}
