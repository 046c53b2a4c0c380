//! Parameters of writes: dry run, field manager, field validation.

use super::context::RequestContext;
use crate::status::{ApiError, StatusCause};

/// Longest name of a field manager.
pub(crate) const FIELD_MANAGER_MAX_LENGTH: usize = 128;

/// What becomes of unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Parameters of a create, update or patch.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: FieldValidation,
    pub(crate) force: bool,
}

/// The cause of a `dryRun` that is neither absent nor `All`.
pub(crate) fn parse_dry_run(values: &[&str]) -> Result<bool, StatusCause> {
    let values: Vec<&str> = values.iter().copied().filter(|v| !v.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        let list = serde_json::Value::from(values);
        return Err(StatusCause::new(
            "FieldValueNotSupported",
            "dryRun",
            format!("Unsupported value: {list}: supported values: \"All\""),
        ));
    }
    Ok(!values.is_empty())
}

impl WriteOptions {
    /// Reads the query; `kind` is the name of the options in messages. An
    /// apply needs a manager, other patches may not force.
    pub(crate) fn parse(call: &RequestContext, kind: &str, apply: bool) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let asked: Vec<&str> = call.query.all("dryRun").collect();
        let dry_run = parse_dry_run(&asked).unwrap_or_else(|cause| {
            causes.push(cause);
            false
        });
        let validation = match call.query.get("fieldValidation") {
            None => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                causes.push(StatusCause::new(
                    "FieldValueNotSupported",
                    "fieldValidation",
                    format!("Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""),
                ));
                FieldValidation::Warn
            }
        };
        let force = call
            .query
            .get("force")
            .map(|text| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0"));
        let manager = call.query.get("fieldManager").unwrap_or_default();
        if apply && manager.is_empty() {
            causes.push(StatusCause::required(
                "fieldManager",
                "is required for apply patch",
            ));
        }
        if !apply && kind == "PatchOptions" && force.is_some() {
            causes.push(StatusCause::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        if manager.len() > FIELD_MANAGER_MAX_LENGTH {
            causes.push(StatusCause::new(
                "FieldValueTooLong",
                "fieldManager",
                format!("Too long: may not be more than {FIELD_MANAGER_MAX_LENGTH} bytes"),
            ));
        }
        if manager.chars().any(char::is_control) {
            causes.push(StatusCause::invalid(
                "fieldManager",
                &manager.into(),
                "should only contain printable characters",
            ));
        }
        if !causes.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", kind, "", causes));
        }
        Ok(Self {
            dry_run,
            manager: if manager.is_empty() {
                call.manager_from_user_agent()
            } else {
                manager.to_owned()
            },
            validation,
            force: force.unwrap_or_default(),
        })
    }
}
