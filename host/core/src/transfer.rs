//! Transfers of images between an engine and registries.

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// An image to pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSpec {
    /// The engine's namespace to pull it into.
    pub namespace: String,
    /// The tag or digest, as a user writes it, such as `busybox`.
    pub image: String,
    /// The operating system and architecture, such as `linux/amd64`; the
    /// engine's own if `None`.
    pub platform: Option<String>,
}

/// An image to push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushSpec {
    /// The engine's namespace that the image belongs to.
    pub namespace: String,
    /// The tag, which also names the registry.
    pub image: String,
}

/// A transfer in progress. It ends with the transfer; an error is its last item.
/// When it is dropped, the transfer is stopped if the engine allows it.
pub type TransferStream = BoxStream<'static, Result<TransferProgress, EngineError>>;

/// The phase of a layer's transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferPhase {
    /// Not begun.
    Waiting,
    /// Being downloaded from the registry.
    Downloading,
    /// Being compared with its digest.
    Verifying,
    /// Downloaded, and not extracted yet.
    Downloaded,
    /// Being extracted.
    Extracting,
    /// Being uploaded to the registry.
    Uploading,
    /// Not transferred, because it was already there.
    Exists,
    /// Transferred.
    Complete,
    /// A phase that this version does not support.
    Unknown,
}

impl TransferPhase {
    /// Returns whether the layer needs no more work.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Exists | Self::Complete)
    }
}

/// The progress of one layer. It supersedes the earlier ones of the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferProgress {
    /// The engine's ID for the layer.
    pub layer: String,
    /// The phase.
    pub phase: TransferPhase,
    /// The number of bytes that the phase has processed.
    pub bytes_done: u64,
    /// The number of bytes that the phase has to process, if known.
    pub bytes_total: Option<u64>,
}

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryCredentials {
    /// A user name and a password.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token to exchange for access tokens (OAuth 2 refresh token).
    IdentityToken(String),
    /// A token to send to the registry as it is (bearer token).
    RegistryToken(String),
}

impl fmt::Debug for RegistryCredentials {
    /// Prints the kind of the credentials without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(..)",
            Self::IdentityToken(_) => "IdentityToken(..)",
            Self::RegistryToken(_) => "RegistryToken(..)",
        })
    }
}

/// The source of the user's credentials for registries.
#[async_trait]
pub trait RegistryCredentialStore: Send + Sync + 'static {
    /// Returns the credentials for `registry`, a host name with an optional
    /// port; `None` if the user has none.
    ///
    /// # Errors
    ///
    /// Fails if the user's configuration cannot be read, or if the credential
    /// helper that it names fails.
    async fn credentials(&self, registry: &str)
    -> Result<Option<RegistryCredentials>, EngineError>;
}

/// A store without credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentialStore;

#[async_trait]
impl RegistryCredentialStore for NoCredentialStore {
    async fn credentials(&self, _: &str) -> Result<Option<RegistryCredentials>, EngineError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        for credentials in [
            RegistryCredentials::Password {
                username: "user-hunter2".to_owned(),
                password: "hunter2".to_owned(),
            },
            RegistryCredentials::IdentityToken("hunter2".to_owned()),
            RegistryCredentials::RegistryToken("hunter2".to_owned()),
        ] {
            assert!(!format!("{credentials:?}").contains("hunter2"));
        }
    }
}
