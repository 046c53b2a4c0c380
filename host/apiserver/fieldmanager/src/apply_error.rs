//! Why a configuration cannot be applied, in the words of Kubernetes, which clients show and match.

use crate::managed_fields::{ManagedFieldsError, ManagedFieldsOperation, ManagerId};
use crate::merge::MergeError;
use crate::path::FieldPath;

/// One field that an apply would take from another manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The manager that owns the field.
    pub manager: ManagerId,
    /// The version that the manager wrote.
    pub api_version: String,
    /// The time of the manager's last write (RFC 3339), if known.
    pub time: Option<String>,
    /// The path of the field.
    pub field: FieldPath,
}

impl FieldConflict {
    /// Returns the message of the cause in a Status: `conflict with "name"`, followed by the version
    /// if the manager did not apply.
    pub fn cause_message(&self) -> String {
        format!("conflict with {}", self.describe_manager())
    }

    fn describe_manager(&self) -> String {
        let mut out = format!("{:?}", self.manager.name);
        if !self.manager.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.manager.subresource));
        }
        if self.manager.operation == ManagedFieldsOperation::Update {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own fields that would change, and `force` was not set. Sorted by manager and
    /// field. Status 409.
    #[error("{}", describe_conflicts(.0))]
    Conflicts(Vec<FieldConflict>),
    /// The configuration contains managedFields. Status 400.
    #[error("metadata.managedFields must be nil")]
    HasManagedFields,
    /// The configuration is not a JSON object. Status 400.
    #[error("the applied configuration must be a JSON object")]
    NotAnObject,
    /// The configuration does not match the schema. Status 500, as upstream.
    #[error("failed to create typed patch object ({object}): {}", describe_violations(.violations))]
    InvalidConfiguration {
        /// The namespace, name, version, and kind of the configuration.
        object: String,
        /// What is wrong, one message per violation, each with its path. Never empty.
        violations: Vec<String>,
    },
    /// The live object's managedFields cannot be read. An update can reset them. Status 500.
    #[error("failed to decode managed fields: {0}")]
    InvalidManagedFields(ManagedFieldsError),
    /// The live object has list items that cannot be identified. Status 500.
    #[error("failed to create typed live object: {0}")]
    InvalidLiveObject(MergeError),
}

impl ApplyError {
    /// Returns the HTTP status code of the response.
    pub fn code(&self) -> u16 {
        match self {
            Self::Conflicts(_) => 409,
            Self::HasManagedFields | Self::NotAnObject => 400,
            Self::InvalidConfiguration { .. }
            | Self::InvalidManagedFields(_)
            | Self::InvalidLiveObject(_) => 500,
        }
    }
}

fn describe_violations(violations: &[String]) -> String {
    match violations {
        [only] => only.clone(),
        several => several
            .iter()
            .fold("errors:".to_owned(), |out, one| out + "\n  " + one),
    }
}

fn describe_conflicts(conflicts: &[FieldConflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.describe_manager(),
            only.field
        );
    }
    let by_manager = conflicts.chunk_by(|l: &FieldConflict, r: &FieldConflict| {
        l.manager == r.manager && l.api_version == r.api_version
    });
    let paragraphs: Vec<String> = by_manager
        .filter_map(|conflicts| {
            let mut out = format!("conflicts with {}:", conflicts.first()?.describe_manager());
            for conflict in conflicts {
                out.push_str(&format!("\n- {}", conflict.field));
            }
            Some(out)
        })
        .collect();
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        paragraphs.join("\n")
    )
}
