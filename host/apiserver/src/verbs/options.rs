//! Parameters of writes: dry run, field manager, field validation.

use super::call::Call;
use crate::status::{ApiError, StatusCause};

/// Longest name of a field manager.
pub(crate) const MANAGER_MAX: usize = 128;

/// What becomes of unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// Parameters of a create, update or patch.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: Validation,
    pub(crate) force: bool,
}

/// The cause of a `dryRun` that is neither absent nor `All`.
pub(crate) fn dry_run(values: &[&str]) -> Result<bool, StatusCause> {
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
    pub(crate) fn read(call: &Call, kind: &str, apply: bool) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let asked: Vec<&str> = call.query.all("dryRun").collect();
        let dry_run = dry_run(&asked).unwrap_or_else(|cause| {
            causes.push(cause);
            false
        });
        let validation = match call.query.get("fieldValidation") {
            None => Validation::Warn,
            Some("Ignore") => Validation::Ignore,
            Some("Warn") => Validation::Warn,
            Some("Strict") => Validation::Strict,
            Some(other) => {
                causes.push(StatusCause::new(
                    "FieldValueNotSupported",
                    "fieldValidation",
                    format!("Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""),
                ));
                Validation::Warn
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
        if manager.len() > MANAGER_MAX {
            causes.push(StatusCause::new(
                "FieldValueTooLong",
                "fieldManager",
                format!("Too long: may not be more than {MANAGER_MAX} bytes"),
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
                call.default_manager()
            } else {
                manager.to_owned()
            },
            validation,
            force: force.unwrap_or_default(),
        })
    }
}
