//! Errors of writes.

use tokio::task::JoinError;

/// Why a mirror could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The API refused a request.
    #[error("{message} (HTTP status {code})")]
    Api { code: u16, message: String },
    /// A request failed without a response of the API.
    #[error(transparent)]
    Client(kube::Error),
    #[error(transparent)]
    Request(#[from] kube::core::request::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The Lease was lost after the write was planned.
    #[error("this instance does not hold the Lease")]
    LeaseNotHeld,
    #[error("there is nothing to write")]
    NothingToWrite,
    #[error("the API accepted the write, but the object is unchanged")]
    NoEffect,
    #[error(transparent)]
    Panicked(JoinError),
}

impl WriteError {
    /// Returns whether the object, or its namespace, does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { code: 404, .. })
    }

    /// Returns whether our state may be stale: the object does not exist, was
    /// replaced or changed, or a test of a patch failed.
    pub(super) fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Api {
                code: 404 | 409 | 422,
                ..
            }
        )
    }
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Api {
                code: status.code,
                message: status.message,
            },
            other => Self::Client(other),
        }
    }
}
