//! How a process ended, as the `Status` that kubelet sends on the error channel.
//!
//! Written by hand: it has five fields, for which k8s-openapi would be a large
//! dependency of this crate.

use rdd_core::EngineError;
use serde::Serialize;

/// The reason of a process whose exit code is not 0.
const NON_ZERO_EXIT_CODE: &str = "NonZeroExitCode";
/// The cause whose message is the exit code.
const EXIT_CODE: &str = "ExitCode";
const INTERNAL_ERROR: &str = "InternalError";

/// A Kubernetes `Status`, with the fields that kubelet sets.
#[derive(Serialize)]
pub(super) struct ExecStatus {
    metadata: StatusMetadata,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<StatusDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

/// Always empty, but clients expect it.
#[derive(Serialize)]
struct StatusMetadata {}

#[derive(Serialize)]
struct StatusDetails {
    causes: [StatusReason; 1],
}

#[derive(Serialize)]
struct StatusReason {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: String,
}

impl ExecStatus {
    /// Returns the status of a process that exited.
    pub(super) fn exited(code: i32) -> Self {
        if code == 0 {
            return Self {
                metadata: StatusMetadata {},
                status: "Success",
                message: None,
                reason: None,
                details: None,
                code: None,
            };
        }
        Self {
            metadata: StatusMetadata {},
            status: "Failure",
            message: Some(format!(
                "command terminated with non-zero exit code: exit code {code}"
            )),
            reason: Some(NON_ZERO_EXIT_CODE),
            details: Some(StatusDetails {
                causes: [StatusReason {
                    reason: Some(EXIT_CODE),
                    message: code.to_string(),
                }],
            }),
            code: None,
        }
    }

    /// Returns the status if the engine or the backend failed, so that nothing is
    /// known about the process.
    pub(super) fn failed(error: &EngineError) -> Self {
        Self {
            metadata: StatusMetadata {},
            status: "Failure",
            message: Some(format!("Internal error occurred: {}", error.message)),
            reason: Some(INTERNAL_ERROR),
            details: Some(StatusDetails {
                causes: [StatusReason {
                    reason: None,
                    message: error.message.clone(),
                }],
            }),
            code: Some(500),
        }
    }

    /// Returns the JSON document.
    pub(super) fn to_json(&self) -> String {
        // Strings and numbers are always serializable.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rdd_core::ErrorCode;

    use super::*;

    #[test]
    fn the_documents_are_those_of_kubelet() {
        assert_eq!(
            ExecStatus::exited(0).to_json(),
            r#"{"metadata":{},"status":"Success"}"#
        );
        assert_eq!(
            ExecStatus::exited(137).to_json(),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit code 137","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}}"#
        );
        let error = EngineError::new(ErrorCode::Unavailable, "the \"engine\" is gone");
        assert_eq!(
            ExecStatus::failed(&error).to_json(),
            r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: the \"engine\" is gone","reason":"InternalError","details":{"causes":[{"message":"the \"engine\" is gone"}]},"code":500}"#
        );
    }
}
