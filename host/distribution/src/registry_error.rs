//! Errors of registries, each with the remedy.

use http::StatusCode;
use rdd_core::EngineError;

use crate::digest::ContentDigest;
use crate::reference::ArtifactReference;

/// A registry that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The certificates of this machine cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The proxy of the environment cannot be used.
    #[error("cannot use the proxy: {0}")]
    Proxy(String),
    /// The registry cannot be reached.
    #[error(
        "cannot {action}: the registry {registry} cannot be reached; check its name and the network"
    )]
    Connect {
        /// The registry.
        registry: String,
        /// What was attempted.
        action: String,
        /// The error of the connection.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry took too long.
    #[error("cannot {action}: the registry {registry} does not respond; try again later")]
    Timeout {
        /// The registry.
        registry: String,
        /// What was attempted.
        action: String,
    },
    /// The artifact does not exist.
    #[error("there is no artifact {0}; check its name and tag")]
    NotFound(String),
    /// The registry requires other credentials.
    #[error("the registry {registry} denied access to {reference}{}; log in with 'docker login {registry}'", addition(.message))]
    Denied {
        /// The registry.
        registry: String,
        /// The artifact.
        reference: String,
        /// What the registry says.
        message: String,
    },
    /// The user's credentials are not sufficient.
    #[error("the registry {registry} denied access to {reference} with your credentials{}; log in as another user with 'docker login {registry}'", addition(.message))]
    Insufficient {
        /// The registry.
        registry: String,
        /// The artifact.
        reference: String,
        /// What the registry says.
        message: String,
    },
    /// Any other error status.
    #[error("cannot {action}: the registry {registry} returned the status {status}{}", addition(.message))]
    Status {
        /// The registry.
        registry: String,
        /// What was attempted.
        action: String,
        /// The status.
        status: u16,
        /// What the registry says.
        message: String,
    },
    /// The user's credentials cannot be read.
    #[error("cannot read your credentials for {registry}: {error}")]
    Credentials {
        /// The registry.
        registry: String,
        /// The error of the store.
        error: EngineError,
    },
    /// The response is larger than announced or allowed.
    #[error(
        "cannot {action}: {reference} is larger than {max_bytes} bytes, its announced or allowed size"
    )]
    TooLarge {
        /// The artifact.
        reference: String,
        /// What was attempted.
        action: String,
        /// The limit.
        max_bytes: u64,
    },
    /// The response ended early.
    #[error("the download of {reference} ended after {actual} of {expected} bytes; try again")]
    Incomplete {
        /// The artifact.
        reference: String,
        /// The announced size.
        expected: u64,
        /// The received size.
        actual: u64,
    },
    /// The content is not the requested one.
    #[error(
        "{reference} has the digest {actual} instead of {expected}; do not use this registry before you know why"
    )]
    Digest {
        /// The artifact.
        reference: String,
        /// The requested digest.
        expected: ContentDigest,
        /// The digest of what was received.
        actual: ContentDigest,
    },
    /// The registry violates the protocol.
    #[error("cannot use the registry {registry}: {problem}; check its address")]
    Violation {
        /// The registry.
        registry: String,
        /// What it did.
        problem: &'static str,
    },
    /// The content cannot be saved.
    #[error("cannot save the download")]
    Write(#[source] std::io::Error),
}

/// Returns what the registry says as an addition to a sentence.
fn addition(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(" ({text})"),
    }
}

impl RegistryError {
    /// Returns the error for a response with an error status.
    pub(crate) fn from_status(
        reference: &ArtifactReference,
        status: StatusCode,
        body: &[u8],
        action: &str,
        has_credentials: bool,
    ) -> Self {
        let registry = reference.registry().to_owned();
        let message = registry_message(body);
        match status {
            StatusCode::NOT_FOUND => Self::NotFound(reference.to_string()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if has_credentials => {
                Self::Insufficient {
                    registry,
                    reference: reference.to_string(),
                    message,
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied {
                registry,
                reference: reference.to_string(),
                message,
            },
            status => Self::Status {
                registry,
                action: action.to_owned(),
                status: status.as_u16(),
                message,
            },
        }
    }
}

/// Returns the first message in the body of an error, without anything that
/// could control a terminal.
fn registry_message(body: &[u8]) -> String {
    /// Long enough for a sentence.
    const MAX_BYTES: usize = 200;
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        errors: Vec<ErrorEntry>,
    }
    #[derive(serde::Deserialize)]
    struct ErrorEntry {
        #[serde(default)]
        message: String,
    }
    let message = serde_json::from_slice::<ErrorBody>(body)
        .ok()
        .and_then(|body| Some(body.errors.into_iter().next()?.message))
        .unwrap_or_default();
    let printable: String = message
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    rdd_core::text::truncate(printable.trim(), MAX_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_control_the_terminal() {
        let body = br#"{"errors":[{"code":"X","message":"denied\u001b[2J\nhere"}]}"#;
        assert_eq!(registry_message(body), "denied [2J here");
        assert_eq!(registry_message(b"<html>"), "");
        assert_eq!(registry_message(br#"{"errors":[]}"#), "");
    }

    #[test]
    fn a_denied_access_names_the_command_to_log_in() {
        let reference = ArtifactReference::parse("r.example/a:1").unwrap();
        for (has_credentials, expected) in [(false, "log in with"), (true, "as another user")] {
            let error = RegistryError::from_status(
                &reference,
                StatusCode::UNAUTHORIZED,
                b"",
                "read it",
                has_credentials,
            )
            .to_string();
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("docker login r.example"), "{error}");
        }
    }
}
